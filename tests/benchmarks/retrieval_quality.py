"""How good the answers are: nDCG@10 on a judged collection, by text, by vector and by both.

`python -m tests.benchmarks.retrieval_quality FOLDER`, or JUDGED_COLLECTION=FOLDER with `make bench`. The folder
holds documents.jsonl (id, title, text), queries.jsonl (id, text) and judgments.tsv (query, document, gain), as
the Cranfield collection does. Everything goes the way of a user: ingest, publish, search.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from providers.local import embedders
from retrieval import corpora, ingest, search
from retrieval.ingest import SourceDocument
from tests.benchmarks import frame
from tests.benchmarks.frame import Row, Stand

VARIABLE: Final = "JUDGED_COLLECTION"
MODELS: Final = {"local/minilm-l6": 384, "local/wordllama": 256}
MODES: Final = ("text", "vector", "hybrid")

Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Judged:
    """A collection with graded judgments: gain by document, by query."""

    documents: tuple[Mapping[str, Any], ...]
    queries: Mapping[str, str]
    gains: Mapping[str, Mapping[str, float]]


def read(folder: Path) -> Judged:
    gains: dict[str, dict[str, float]] = defaultdict(dict)
    for line in (folder / "judgments.tsv").read_text().splitlines()[1:]:
        query, document, gain = line.split("\t")
        if float(gain) > 0:
            gains[query][document] = float(gain)
    documents = [json.loads(line) for line in (folder / "documents.jsonl").read_text().splitlines()]
    queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    return Judged(tuple(documents), {str(one["id"]): one["text"] for one in queries}, gains)


def ndcg(found: Sequence[str], gains: Mapping[str, float], *, depth: int = 10) -> float:
    """Normalised discounted cumulative gain: linear gains, log2 discount."""

    def total(values: Sequence[float]) -> float:
        return sum(value / math.log2(place + 2) for place, value in enumerate(values[:depth]))

    return total([gains.get(name, 0.0) for name in found]) / total(sorted(gains.values(), reverse=True))


def embedder(model: str) -> Embed:
    loaded = embedders.load(model.removeprefix("local/"))
    assert loaded is not None
    return lambda texts: loaded.embed(list(texts), pause=lambda: 60.0).vectors


def fill(name: str, judged: Judged, *, model: str, embed: Embed) -> float:
    """Ingest the collection, each abstract as one passage with its title; return documents per second."""
    corpora.ensure(
        name, embedding=model, dims=MODELS[model], chunk_tokens=1000, chunk_overlap=0, publish="auto"
    )
    draft = ingest.open_draft(name, actor="bench")
    started = time.monotonic()
    for one in judged.documents:
        if one["text"].strip():
            data = f"{one['title']}\n\n{one['text']}".encode()
            report = ingest.add_document(draft, SourceDocument(str(one["id"]), "text/plain", data), embed)
            assert report.state == "processed", report
    ingest.publish(draft)
    return len(judged.documents) / (time.monotonic() - started)


def score(name: str, judged: Judged, *, mode: str, embed: Embed) -> float:
    """Return the mean nDCG@10 over the queries that have a positive judgment."""
    asked = {query: text for query, text in judged.queries.items() if judged.gains.get(query)}
    vectors = dict(zip(asked, embed(list(asked.values())), strict=True))
    scores = []
    for query, text in asked.items():
        result = search.search(name, snapshot=1, query=text, query_vector=vectors[query], mode=mode, top_k=20)
        documents = list(dict.fromkeys(hit.document for hit in result.hits))
        scores.append(ndcg(documents, judged.gains[query]))
    return float(np.mean(scores))


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Rate each local model on the whole collection: one round, since nothing in it is by chance."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        frame.note(f"left out: {VARIABLE} names no folder with a judged collection")
        return []
    judged, rows = read(Path(folder)), []
    for model in MODELS:
        embed, name = embedder(model), model.replace("/", "-")
        frame.note(f"{model}: {fill(name, judged, model=model, embed=embed):.0f} documents/s ingested")
        found = {mode: score(name, judged, mode=mode, embed=embed) for mode in MODES}
        best = max(found["text"], found["vector"])
        rows.append(
            Row(
                what=f"nDCG@10, {model}, hybrid",
                ours=f"{found['hybrid']:.3f}",
                baseline=f"text {found['text']:.3f}, vector {found['vector']:.3f}",
                ratio=f"{found['hybrid'] / best:.2f}",
                goal=f"≥ {best:.3f}",
                met=found["hybrid"] >= best,
            )
        )
    return rows


def main() -> None:
    if len(sys.argv) > 1:
        os.environ[VARIABLE] = sys.argv.pop(1)
    frame.alone(measure)


if __name__ == "__main__":
    main()
