"""A server that speaks over its standard input and output: started for one call, bounded, and ended with it.

Not the SDK's own transport, which reads lines of any length and leaves the server alive when this process is killed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest, jsonrpc_message_adapter

from workflows.tools.mcp.watch import Watch

KEEPER = str(Path(__file__).with_name("keeper.py"))
# What a server sees of our environment; nothing of it is a secret.
_ENVIRONMENT = (
    "HOME",
    "LANG",
    "LOGNAME",
    "PATH",
    "SHELL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "USER",
)
_CHUNK = 64 * 1024
_MAX_COMPLAINT = 500
_LAST_WORDS_S = 0.5
# Keepers that are about to end; looked after so that none stays a zombie.
_ending: list[subprocess.Popen[bytes]] = []


@asynccontextmanager
async def server(command: Sequence[str], watch: Watch) -> AsyncIterator[tuple[Any, Any]]:
    """Start a server and yield the streams that the SDK reads and writes messages on.

    Raises: ToolError(connect).
    """
    with _Process(command, watch) as (source, target, complaints):
        to_client, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        to_server, from_client = anyio.create_memory_object_stream[SessionMessage](0)
        async with anyio.create_task_group() as tasks:
            silent = anyio.Event()
            tasks.start_soon(_receive, source, to_client, watch, silent)
            tasks.start_soon(_send, from_client, target, watch)
            tasks.start_soon(_overhear, complaints, watch, silent)
            try:
                yield from_server, to_server
            finally:
                tasks.cancel_scope.cancel()
                for stream in (from_server, to_server, to_client, from_client):
                    stream.close()


class _Process:
    """A server's process, from its start to its end. Gives the descriptors of its output, its input, its errors."""

    def __init__(self, command: Sequence[str], watch: Watch) -> None:
        self._command, self._watch = command, watch

    def __enter__(self) -> tuple[int, int, int]:
        _ending[:] = [process for process in _ending if process.poll() is None]
        environment = minimal(os.environ)
        if shutil.which(self._command[0], path=environment.get("PATH")) is None:
            raise self._watch.ended(self._watch.lost(f"there is no program {self._command[0]}"))
        lifeline, self._lifeline = os.pipe()
        self._keeper = subprocess.Popen(
            (sys.executable, "-I", "-S", KEEPER, str(lifeline), *self._command),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(lifeline,),
            start_new_session=True,
        )
        os.close(lifeline)
        source, target, complaints = (pipe.fileno() for pipe in self._pipes())
        os.set_blocking(target, False)
        return source, target, complaints

    def __exit__(self, *args: object) -> None:
        for pipe in self._pipes():
            with suppress(OSError):
                pipe.close()
        os.close(self._lifeline)
        _ending.append(self._keeper)

    def _pipes(self) -> Iterator[IO[bytes]]:
        for pipe in (self._keeper.stdout, self._keeper.stdin, self._keeper.stderr):
            assert pipe is not None
            yield pipe


def minimal(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a server is told of the environment."""
    return {
        name: text for name, text in environment.items() if name in _ENVIRONMENT or name.startswith("LC_")
    }


async def _receive(source: int, to_client: Any, watch: Watch, silent: anyio.Event) -> None:
    """Hand on what the server writes, a message a line, until it closes its output."""
    received = bytearray()
    async with to_client:
        while chunk := await _read(source):
            received += chunk
            if len(received) > watch.max_bytes:
                raise watch.too_large()
            if b"\n" not in chunk:
                continue
            *lines, rest = received.split(b"\n")
            received = bytearray(rest)
            for line in filter(bytes.strip, map(bytes, lines)):
                await to_client.send(_message(line))
        with anyio.move_on_after(_LAST_WORDS_S):
            await silent.wait()


def _message(line: bytes) -> SessionMessage | Exception:
    """A message, or why it is none: the SDK passes over what a server prints beside the protocol."""
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


async def _overhear(complaints: int, watch: Watch, silent: anyio.Event) -> None:
    """Keep the end of what the server says on its standard error, for an error message if it does not start.

    Later it may speak of the call's arguments: then it is read, so that the server does not stall, and dropped.
    """
    said = b""
    while chunk := await _read(complaints):
        if not watch.left:
            said = (said + chunk)[-_MAX_COMPLAINT:]
            watch.complaint = " ".join(said.decode("utf-8", "replace").split())
    silent.set()


async def _read(source: int) -> bytes:
    await anyio.wait_readable(source)
    return os.read(source, _CHUNK)


async def _send(from_client: Any, target: int, watch: Watch) -> None:
    async for sent in from_client:
        message = sent.message
        if isinstance(message, JSONRPCRequest) and message.method == "tools/call":
            watch.left = True
        rest = memoryview(message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
        while rest:
            await anyio.wait_writable(target)
            try:
                rest = rest[os.write(target, rest[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise watch.ended(watch.lost(str(error))) from None
