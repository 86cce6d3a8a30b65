"""The HTTP transport under the SDK's client: guarded as every tool call is, and bounded.

Every request's host is resolved and checked anew, redirects' too, and the connection goes to a checked address
itself, never to a name. It reads no proxy settings: a proxy would connect where the guard cannot look.
"""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Sequence

import anyio
import httpx2

from workflows.tools import guard, hosts
from workflows.tools.errors import ToolError, refused
from workflows.tools.guard import Address, Allowed
from workflows.tools.mcp.watch import Watch
from workflows.tools.network import tls

CONNECT_S = 10.0
_PORTS = {"http": 80, "https": 443}


def client(
    headers: Sequence[tuple[str, str]], *, watch: Watch, allowed: Allowed, key: str, once: bool
) -> httpx2.AsyncClient:
    """Return the client that the SDK is given. Its waits are bounded by whoever ends the whole process."""
    return httpx2.AsyncClient(
        headers=list(headers),
        transport=Guarded(watch, allowed, key=key, once=once),
        timeout=httpx2.Timeout(None, connect=CONNECT_S),
        trust_env=False,
    )


class Guarded(httpx2.AsyncBaseTransport):
    """Sends requests to checked addresses. The request that calls the tool alone carries the key of the call:
    a gateway that answers a known key from its memory must not mix it up with those before it. `once`: it leaves once,
    whatever is answered; the others follow redirects, as the SDK does, on the same origin."""

    def __init__(self, watch: Watch, allowed: Allowed, *, key: str, once: bool) -> None:
        self._watch, self._allowed, self._key, self._once = watch, allowed, key, once
        self._inner = httpx2.AsyncHTTPTransport(verify=tls(), trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        watch = self._watch
        if watch.error is not None:
            raise watch.error
        addresses = await self._checked(request.url)
        await request.aread()  # of one that follows a redirect the SDK gives a stream
        is_call = _calls_the_tool(request)
        if is_call:
            request.headers["Idempotency-Key"] = self._key
        response = await self._first_answer(request, addresses, is_call=is_call)
        if request.method == "POST":
            watch.status = response.status_code if response.status_code >= 400 else None
        if is_call and self._once and response.is_redirect:
            await response.aclose()
            raise watch.redirected(response.status_code)
        if why := _unusable(response, is_call=is_call):
            await response.aclose()
            raise watch.unusable("malformed_body", why)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Bounded(response.stream, watch),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _checked(self, url: httpx2.URL) -> tuple[Address, ...]:
        """Raises: ToolError(invalid_request | address_refused), httpx2.ConnectError."""
        host = hosts.normal(url.raw_host.decode("ascii"))
        port = url.port or _PORTS.get(url.scheme)
        if host is None or port is None:
            raise self._watch.ended(refused("invalid_request", f"{url.host!r} is no host that is accepted."))
        found = await _resolved(host, port)
        try:
            return guard.permitted(host, found, port=port, allowed=self._allowed)
        except ToolError as error:
            error.outcome_known = not self._watch.left
            raise self._watch.ended(error) from None

    async def _first_answer(
        self, request: httpx2.Request, addresses: Sequence[Address], *, is_call: bool
    ) -> httpx2.Response:
        """Ask the addresses in order, until one can be connected to."""
        failure: httpx2.TransportError | None = None
        for address in addresses:
            self._watch.left = self._watch.left or is_call
            try:
                return await self._inner.handle_async_request(_addressed(request, address))
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
                if is_call:
                    self._watch.left = False  # not a byte of it was written
        assert failure is not None
        raise failure


class _Bounded(httpx2.AsyncByteStream):
    """The body of a reply, up to the size that is allowed."""

    def __init__(self, stream: httpx2.AsyncByteStream, watch: Watch) -> None:
        self._stream, self._watch = stream, watch

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > self._watch.max_bytes:
                raise self._watch.too_large()
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _unusable(response: httpx2.Response, *, is_call: bool) -> str | None:
    """Why a reply cannot be used, whatever it says; the SDK would unpack it, or make an error of the server's of it."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        return f"is encoded as {coding[:40]}, which was not asked for"
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if is_call and response.is_success and media not in {"application/json", "text/event-stream"}:
        return f"is neither JSON nor a stream of events but {media[:40] or 'empty'} (status {response.status_code})"
    return None


def _addressed(request: httpx2.Request, address: Address) -> httpx2.Request:
    """The same request to an address: Host and certificate stay those of the name."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")},
    )


def _calls_the_tool(request: httpx2.Request) -> bool:
    if request.method != "POST":
        return False
    message = json.loads(request.content)
    return isinstance(message, dict) and message.get("method") == "tools/call"


async def _resolved(host: str, port: int) -> tuple[Address, ...]:
    """The addresses of a host in normal form. Raises: httpx2.ConnectError."""
    literal = hosts.literal(host)
    if literal is not None:
        return (literal,)
    try:
        answer = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise httpx2.ConnectError(f"{host} cannot be resolved ({why})") from None
    found = (hosts.literal(str(entry[4][0]).partition("%")[0]) for entry in answer)
    return tuple(dict.fromkeys(address for address in found if address is not None))
