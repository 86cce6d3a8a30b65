"""Send one message to one address, once: guarded, bounded in time and size, no redirects.

The same guard as for tools decides which addresses may be called. May not: know deliveries or the database.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httpcore2

from workflows.tools import urls
from workflows.tools.errors import ToolError
from workflows.tools.guard import Allowed
from workflows.tools.network import Backend, Passage, tls
from workflows.tools.urls import Url
from workflows.tools.waiting import Patience, Stopped

TIMEOUT_S: Final = 15.0
_MAX_BODY: Final = 16 * 1024
_EXCERPT: Final = 1_000
GONE: Final = 410


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a try: a status, or an error without one. `retry_after_s`: what the endpoint asked for."""

    status: int | None = None
    error: str = ""
    excerpt: str = ""
    took_ms: int = 0
    retry_after_s: float | None = None

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def send(
    address: str,
    body: bytes,
    headers: Sequence[tuple[str, str]],
    *,
    allow: Sequence[str],
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """POST a JSON body and return what came of it; never raises for what the other side does."""
    began = time.monotonic()
    try:
        answer = _exchanged(urls.parse(address), body, headers, allow=allow, timeout_s=timeout_s)
    except ToolError as error:
        answer = Answer(error=error.message)
    except Stopped:
        answer = Answer(error=f"No answer within {timeout_s:g} s.")
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        answer = Answer(error=f"The connection failed: {error}.")
    took_ms = round((time.monotonic() - began) * 1000)
    return Answer(**{**answer.__dict__, "took_ms": took_ms})


def _exchanged(
    url: Url, body: bytes, headers: Sequence[tuple[str, str]], *, allow: Sequence[str], timeout_s: float
) -> Answer:
    passage = Passage(
        patience=Patience.within(timeout_s), allowed=Allowed.parse(tuple(allow)), sending=lambda: True
    )
    connection = httpcore2.HTTPConnection(
        origin=httpcore2.Origin(url.scheme.encode(), url.host.encode(), url.port),
        ssl_context=tls() if url.scheme == "https" else None,
        network_backend=Backend(passage),
    )
    try:
        response = connection.handle_request(_wire(url, body, headers))
        raw = b""
        for chunk in response.iter_stream():
            raw += chunk
            if len(raw) > _MAX_BODY:
                break
    finally:
        connection.close()
    status = response.status
    return Answer(
        status=status,
        error="" if 200 <= status < 300 else _refusal(status),
        excerpt=raw.decode("utf-8", "replace").replace("\0", "\N{SYMBOL FOR NULL}")[:_EXCERPT],
        retry_after_s=_retry_after(response.headers) if status in (429, 503) else None,
    )


def _wire(url: Url, body: bytes, headers: Sequence[tuple[str, str]]) -> httpcore2.Request:
    sent = [
        (b"Host", url.authority.encode("ascii")),
        (b"Content-Type", b"application/json"),
        (b"User-Agent", b"Interlock"),
        (b"Content-Length", str(len(body)).encode()),
        *((name.encode("ascii"), value.encode("latin-1")) for name, value in headers),
    ]
    target = httpcore2.URL(
        scheme=url.scheme.encode(), host=url.host.encode(), port=url.port, target=url.target.encode("ascii")
    )
    return httpcore2.Request(b"POST", target, headers=sent, content=body)


def _refusal(status: int) -> str:
    if status == GONE:
        return "The endpoint says that it is gone for good (410)."
    if 300 <= status < 400:
        return f"The endpoint answered {status}: redirects are not followed, write the final address down."
    return f"The endpoint answered {status}."


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    for name, value in headers:
        if name.lower() == b"retry-after" and value.isdigit() and len(value) < 8:
            return float(value)
    return None
