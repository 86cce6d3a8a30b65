"""Call a tool over HTTP: make the request from its templates, then send it once and read the reply.

`prepare` is pure; `send` opens one fresh connection per request and repeats nothing. Neither knows runs,
leases or the database: the mark before sending, cancellation and the lease are the caller's callables.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpcore2

from workflows.tools import replies, requests, urls
from workflows.tools.config import Tool
from workflows.tools.errors import ToolError, refused
from workflows.tools.guard import Allowed
from workflows.tools.network import Backend, Passage, tls
from workflows.tools.urls import Render, Url
from workflows.tools.waiting import Patience, Stopped, never

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_ERROR_BODY = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """A request ready to be sent, but for the credential and the headers that tie it to its run."""

    tool: str
    method: str
    url: Url
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    follows_redirects: bool


@dataclass(frozen=True, kw_only=True)
class ToolReply:
    """A reply with a 2xx status. `timing_ms`: connect (until sent), first_byte and total, from the start."""

    status: int
    headers: Mapping[str, str]
    body: Any
    timing_ms: Mapping[str, float]


@dataclass(kw_only=True)
class _Received:
    """A reply as it comes in. `broken`: why its body ended too early."""

    status: int
    headers: dict[str, str]
    raw: bytes = b""
    broken: Exception | None = None


def prepare(tool: Tool, input: Mapping[str, Any], *, render: Render) -> HttpRequest:
    """Render a tool's url, headers and body with its input fields as names.

    Raises: ToolError(invalid_request), and what `render` raises.
    """
    http = tool.http
    if http is None:
        raise refused("invalid_request", f"Tool {tool.name} is not called over HTTP.")
    if http.credential and not urls.names_its_host(http.url):
        raise refused(
            "invalid_request",
            f"Tool {tool.name} has a credential, so its url has to begin with a host that is written out.",
        )
    headers = requests.headers(http.headers, input, tool=tool.name, render=render)
    body, headers = requests.body(http.body, headers, input, tool=tool.name, render=render)
    return HttpRequest(
        tool=tool.name,
        method=http.method,
        url=urls.from_template(http.url, input, render=render),
        headers=headers,
        body=body,
        follows_redirects=http.method == "GET" and tool.effect != "once",
    )


def send(
    request: HttpRequest,
    *,
    key: str,
    run_id: str,
    path: str,
    deadline_s: float,
    sending: Callable[[], bool],
    cancelled: Callable[[], bool] = never,
    allow: Sequence[str] = (),
    credential: str | None = None,
) -> ToolReply:
    """Send a request and return its reply, all within `deadline_s` seconds.

    `sending` is called once, when the connection stands, before the first byte of the request is written;
    if it returns False, nothing is. `credential` is the secret itself; `allow` is INTERLOCK_TOOL_ALLOW.

    Raises: ToolError; LeaseLost; what `sending` raises.
    """
    passage = Passage(
        patience=Patience.within(deadline_s, cancelled=cancelled),
        allowed=Allowed.parse(allow),
        sending=sending,
    )
    own = (("Idempotency-Key", key), ("X-Interlock-Run", run_id), ("X-Interlock-Step", path))
    authorization = requests.authorization(credential)
    hop = replace(request, headers=requests.checked((*own, *authorization, *request.headers)))
    for _ in range(MAX_REDIRECTS + 1):
        received = _exchanged(hop, passage, credential=credential)
        location = received.headers.get("location")
        if not (request.follows_redirects and received.status in _REDIRECTS and location):
            return _settled(hop, received, passage, credential=credential)
        hop = _redirected(hop, location, own=own)
        passage.sent = False  # what came of the request before is known
    raise ToolError(
        "tool_status",
        f"Tool {request.tool} was redirected more than {MAX_REDIRECTS} times.",
        outcome_known=True,
        status=received.status,
    )


def _exchanged(request: HttpRequest, passage: Passage, *, credential: str | None) -> _Received:
    """Write one request on a connection of its own and read the reply. Raises: as `send`."""
    url = request.url
    connection = httpcore2.HTTPConnection(
        origin=httpcore2.Origin(url.scheme.encode(), url.host.encode(), url.port),
        ssl_context=tls() if url.scheme == "https" else None,
        network_backend=Backend(passage),
    )
    try:
        response = connection.handle_request(_wire(request))
        received = _Received(
            status=response.status, headers=replies.recorded(response.headers, credential=credential)
        )
        _read(response, received, tool=request.tool)
    except (Stopped, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise _failed(request, passage, error) from error
    finally:
        connection.close()
    return received


def _wire(request: HttpRequest) -> httpcore2.Request:
    headers = [
        (b"Host", request.url.authority.encode("ascii")),
        *((name.encode("ascii"), text.encode("latin-1")) for name, text in request.headers),
    ]
    if request.body is not None or request.method in {"POST", "PUT", "PATCH"}:
        headers.append((b"Content-Length", str(len(request.body or b"")).encode()))
    target = httpcore2.URL(
        scheme=request.url.scheme.encode(),
        host=request.url.host.encode(),
        port=request.url.port,
        target=request.url.target.encode("ascii"),
    )
    return httpcore2.Request(request.method.encode(), target, headers=headers, content=request.body or b"")


def _read(response: httpcore2.Response, received: _Received, *, tool: str) -> None:
    """Read the body into `received`, of an error only its beginning, of a redirect nothing.

    Raises: ToolError(too_large).
    """
    if received.status in _REDIRECTS:
        return
    is_wanted = 200 <= received.status < 300
    chunks: list[bytes] = []
    size = 0
    try:
        for chunk in response.iter_stream():
            chunks.append(chunk)
            size += len(chunk)
            if is_wanted and size > replies.MAX_BODY:
                raise replies.too_large(tool, received.status)
            if not is_wanted and size > _MAX_ERROR_BODY:
                break
    except (Stopped, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        received.broken = error
    received.raw = b"".join(chunks)


def _settled(
    request: HttpRequest, received: _Received, passage: Passage, *, credential: str | None
) -> ToolReply:
    """Judge a reply. Raises: ToolError."""
    status, tool = received.status, request.tool
    if not 200 <= status < 300:
        body = replies.excerpt(
            received.raw, received.headers, tool=tool, status=status, credential=credential
        )
        message = f"Tool {tool} replied with status {status}"
        raise ToolError(
            "tool_status", f"{message}: {body}" if body else f"{message}.", outcome_known=True, status=status
        )
    if received.broken is not None:
        raise _failed(request, passage, received.broken, status=status)
    body = replies.value(received.raw, received.headers, tool=tool, status=status, credential=credential)
    return ToolReply(status=status, headers=received.headers, body=body, timing_ms=_timing(passage))


def _redirected(request: HttpRequest, location: str, *, own: tuple[tuple[str, str], ...]) -> HttpRequest:
    """The next request of a GET. Another origin gets nothing that the author or the credential put in."""
    url = request.url.join(location)
    is_same = url.origin == request.url.origin
    return replace(request, url=url, headers=request.headers if is_same else requests.checked(own))


def _failed(
    request: HttpRequest, passage: Passage, error: Exception, *, status: int | None = None
) -> ToolError:
    """The error of a call that broke off: whether its outcome is known is whether anything was sent."""
    where = f"Tool {request.tool} at {request.url.origin}"
    if isinstance(error, Stopped):
        error_class = error.error_class
        what = "took too long" if error_class == "timeout" else "was cancelled"
    elif isinstance(error, httpcore2.LocalProtocolError) and not passage.sent:
        error_class, what = "invalid_request", f"cannot be written as HTTP ({error})"
    else:
        error_class = "connection_lost" if passage.sent else "connect"
        what = "broke off" if passage.sent else "cannot be reached"
        what = f"{what} ({error})"
    after = "its outcome is unknown" if passage.sent else "nothing was sent"
    if status is not None:
        after = f"it replied with status {status}, but the reply is incomplete"
    return ToolError(error_class, f"{where} {what}: {after}.", outcome_known=not passage.sent, status=status)


def _timing(passage: Passage) -> dict[str, float]:
    started_at, now = passage.started_at, time.monotonic()
    moments = {"connect": passage.sent_at, "first_byte": passage.first_byte_at, "total": now}
    return {name: round(((at or now) - started_at) * 1000, 3) for name, at in moments.items()}
