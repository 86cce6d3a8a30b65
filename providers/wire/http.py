"""One POST and its answer in chunks, within a call's time and bounds; whatever goes wrong is a ProviderError.

Knows no wire format of a model: the adapters do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpcore2
import httpx2
from pydantic_core import from_json

from providers.adapters.base import Call, Reply, WireRequest
from providers.errors import ProviderError
from providers.messages import Json
from providers.wire import failures, network

MAX_BODY_BYTES = 16 * 1024 * 1024
# Of a refusal, this much is kept, and read for so long.
_MAX_REFUSAL_BYTES = 64 * 1024
_REFUSAL_S = 3.0
# How long to wait for the rest of an answer that is complete, to keep its connection.
_DRAIN_S = 0.1
_STATUSES = {str(status) for status in range(400, 600)}
_SSE_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_RECORDED_HEADERS = ("content-type", "date", "server", "retry-after", "x-request-id", "request-id", "cf-ray")
_RECORDED_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-", "openai-", "retry-after-", "x-ms-retry-after")


@dataclass(kw_only=True, slots=True)
class Received:
    """An answer that began. `chunks` raises ProviderError for whatever happens on the way."""

    call: Call
    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]
    opening: bytes = field(init=False, default=b"")

    def record(self, body: Json) -> Json:
        """The answer for the record of the call; only headers that are known to hold no secret."""
        kept = {
            name: value
            for name, value in self.headers.items()
            if name in _RECORDED_HEADERS or name.startswith(_RECORDED_PREFIXES)
        }
        return {"status": self.status, "headers": kept, "body": body}

    @property
    def request_id(self) -> str | None:
        return self.headers.get("x-request-id") or self.headers.get("request-id")

    def is_document(self) -> bool:
        """Whether the body is one JSON document, not a stream; told by how it begins, not by its header.

        Raises: ProviderError(malformed_body) where it is neither.
        """
        opening = b""
        while not opening.strip():
            chunk = next(self.chunks, None)
            if chunk is None:
                break
            opening += chunk
        self.chunks = _then(opening, self.chunks)
        start = opening.lstrip()[:6]
        if start.startswith(b"{"):
            return True
        if start and not any(start.startswith(field) or field.startswith(start) for field in _SSE_FIELDS):
            what = "a page of HTML" if start.startswith(b"<") else "neither JSON nor a stream of events"
            raise self.malformed(f"The answer is {what}.", opening)
        return False

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks)

    def malformed(self, message: str, body: bytes) -> ProviderError:
        """The error for an answer against its format, with the body's beginning for the record."""
        return self.call.error(
            message,
            "malformed_body",
            status=self.status,
            phase="body",
            partial=Reply(record=self.record(_readable(body[:_MAX_REFUSAL_BYTES]))),
        )

    def drain(self) -> None:
        """Read what follows the end mark, if it comes at once, so that the connection can be used again."""
        self.call.time.hurry(_DRAIN_S)
        with suppress(ProviderError):
            for _ in self.chunks:
                continue


@contextmanager
def post(call: Call, wire: WireRequest, headers: Mapping[str, str]) -> Iterator[Received]:
    """Send the request and give its answer once the headers are there. Raises: ProviderError."""
    request = _request(call, wire, headers)
    with network.timed(call.time):
        with _as_ours(call):
            response = _answered(request)
        try:
            yield Received(
                call=call,
                status=response.status_code,
                headers=response.headers,
                chunks=_bounded(call, response),
            )
        finally:
            response.close()


def _answered(request: httpx2.Request) -> httpx2.Response:
    """Send on a kept connection, or on the next one where the server had closed it meanwhile.

    Some servers close after each stream without saying so; then only sending tells.
    """
    transport = network.transport(_origin(request.url))
    for _ in range(network.KEPT_ALIVE):
        with suppress(network.StaleConnectionError):
            return transport.handle_request(request)
    return transport.handle_request(request)


def refusal(received: Received, *, codes: Mapping[str, str]) -> ProviderError:
    """The error for a status other than 200; `codes` maps the format's codes to error classes."""
    body = _refusal_body(received)
    said = _readable(body)
    code, message = described(said, codes=codes)
    status = received.status
    if 300 <= status < 400:
        message = (
            f"redirects are not followed; correct base_url (it points to {received.headers.get('location')})"
        )
    return received.call.error(
        f"{received.call.provider.name} answered {status}: {message[:2000] or 'without a message'}",
        failures.error_class(status, code=code, text=message, codes=codes),
        status=status,
        retry_after_s=failures.retry_after_s(received.headers, now=datetime.now(UTC)),
        partial=Reply(record=received.record(said), request_id=received.request_id),
    )


def described(said: Json, *, codes: Mapping[str, str]) -> tuple[str, str]:
    """Code and message out of an error in any of the forms that providers use."""
    error = said.get("error", said) if isinstance(said, dict) else said
    if not isinstance(error, dict):
        return "", error if isinstance(error, str) else json.dumps(error)
    named = [str(error[key]) for key in ("code", "type", "status") if error.get(key)]
    code = next((name for name in named if name in codes), "".join(named[:1]))
    message = error.get("message") or error.get("detail") or json.dumps(error)
    return code, message if isinstance(message, str) else json.dumps(message)


def in_band(
    received: Received, said: Json, *, codes: Mapping[str, str], partial: Reply | None
) -> ProviderError:
    """The error for one that came within an answer of status 200."""
    code, message = described({"error": said}, codes=codes)
    return received.call.error(
        f"{received.call.provider.name} broke its answer off with an error: {message[:2000]}",
        failures.error_class(_status_within(said), code=code, text=message, codes=codes),
        status=received.status,
        phase="body",
        partial=partial or Reply(record=received.record({"error": said})),
    )


def _status_within(said: Json) -> int:
    """A status that an error holds as its code; 500 otherwise."""
    code = said.get("code") or said.get("status") if isinstance(said, Mapping) else None
    return int(code) if isinstance(code, int | str) and str(code) in _STATUSES else 500


def _request(call: Call, wire: WireRequest, headers: Mapping[str, str]) -> httpx2.Request:
    try:
        content = json.dumps(wire.body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise call.error(f"The request is not JSON: {error}.", "invalid_request") from error
    sent = {"content-type": "application/json", "accept-encoding": "identity", **wire.headers, **headers}
    try:
        parts = urlsplit(wire.url)
        has_user = "@" in parts.netloc
        if parts.scheme not in {"http", "https"} or not parts.hostname or has_user or parts.port == 0:
            raise ValueError("http(s)://host[:port]/path is expected, without a user or password")
        wait = {"timeout": {"pool": max(call.time.left_s(), 0.001)}}
        return httpx2.Request("POST", wire.url, headers=sent, content=content, extensions=wait)
    except (httpx2.InvalidURL, ValueError) as error:
        raise call.error(
            f"The base_url of provider {call.provider.name} cannot be used: {error}.", "invalid_request"
        ) from error


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


@contextmanager
def _as_ours(call: Call) -> Iterator[None]:
    """Turn what httpx2 raises into our family; the sockets raise it themselves."""
    try:
        yield
    except httpcore2.PoolTimeout as error:
        raise call.error("All connections to the provider are in use.", "timeout", phase="connect") from error
    except (httpcore2.LocalProtocolError, httpcore2.UnsupportedProtocol) as error:
        raise call.error(f"The request cannot be sent: {error}.", "invalid_request", phase="write") from error
    except httpcore2.RemoteProtocolError as error:
        raise _protocol_error(call, str(error)) from error
    except httpx2.DecodingError as error:
        raise call.error(
            f"The answer cannot be unpacked: {error}.", "malformed_body", phase="body"
        ) from error


def _protocol_error(call: Call, message: str) -> ProviderError:
    phase = call.time.phase
    if "disconnected" in message and phase != "body":
        return call.error("The server hung up before an answer began.", "connect", phase="first_byte")
    if "peer closed" in message or "disconnected" in message:
        return call.error("The server hung up within the answer.", "stream_truncated", phase="body")
    return call.error(f"The answer is not HTTP: {message}.", "malformed_body", phase=phase)


def _bounded(call: Call, response: httpx2.Response) -> Iterator[bytes]:
    size = 0
    with _as_ours(call):
        for chunk in response.iter_bytes():
            call.time.phase = "body"
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                limit = MAX_BODY_BYTES // 1024 // 1024
                raise call.error(f"The answer is larger than {limit} MB.", "malformed_body", phase="body")
            yield chunk


def _then(opening: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if opening:
        yield opening
    yield from rest


def _refusal_body(received: Received) -> bytes:
    """The beginning of a refusal's body: what it says matters, but not as much as that it refused."""
    body = b""
    received.call.time.hurry(_REFUSAL_S)
    with suppress(ProviderError):
        for chunk in received.chunks:
            body += chunk
            if len(body) >= _MAX_REFUSAL_BYTES:
                break
    return body[:_MAX_REFUSAL_BYTES]


def _readable(body: bytes) -> Json:
    try:
        return from_json(body)
    except ValueError:
        return body.decode("utf-8", "replace")
