"""URLs of tool calls: made from a template and the tool's input, and taken apart in one way only.

Pure: resolves no name. Whether an address may be called is guard.py's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import httpx2
from jinja2 import Environment, TemplateSyntaxError

from workflows.tools import hosts
from workflows.tools.errors import ToolError, refused

# Renders the template strings in a JSON value: `render(value, scope)`.
Render: TypeAlias = Callable[[Any, Mapping[str, Any]], Any]

_PORTS = {"http": 80, "https": 443}
# Only splits templates into text and expressions; never evaluates one.
_lexer = Environment(autoescape=False)  # noqa: S701
_BEFORE_PATH = re.compile(r"[^/?#]*(?:://[^/?#]*)?")
_FIXED_HOST = re.compile(r"https?://[^/?#\\@]+[/?#]", re.IGNORECASE)


@dataclass(frozen=True)
class Url:
    """A checked http or https URL. `host` is in the normal form of hosts.py; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port: what the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return self.origin + self.target

    def join(self, location: str) -> Url:
        """The URL that a redirect's Location names. Raises: ToolError(invalid_request)."""
        try:
            return parse(str(httpx2.URL(str(self)).join(location)))
        except (httpx2.InvalidURL, ValueError):
            raise _bad(location, "it is not a URL") from None


def parse(text: str) -> Url:
    """Take a URL apart, or refuse it: another scheme, a user or password in it, a host in an odd form.

    Raises: ToolError(invalid_request).
    """
    try:
        url = httpx2.URL(text)
        host = hosts.normal(url.raw_host.decode("ascii"))
    except (httpx2.InvalidURL, ValueError) as error:
        raise _bad(text, f"it is not a URL ({error})") from None
    if url.scheme not in _PORTS:
        raise _bad(text, "only http and https can be called")
    if url.userinfo:
        raise _bad(text, "a URL may not hold a user or password; use the tool's credential")
    if not host:
        raise _bad(text, "its host is missing or written in a form that is not accepted")
    port = _PORTS[url.scheme] if url.port is None else url.port
    if not 1 <= port <= 65535:
        raise _bad(text, f"{port} is not a port")
    return Url(url.scheme, host, port, url.raw_path.decode("ascii"))


def from_template(template: str, scope: Mapping[str, Any], *, render: Render) -> Url:
    """Render a URL: what expressions give is percent-encoded, so that it stays within its place.

    A template that is one expression and nothing else gives the whole URL.

    Raises: ToolError(invalid_request), and what `render` raises.
    """
    pieces = tuple(_pieces(template.strip()))
    if len(pieces) == 1 and pieces[0][1]:
        url = render(pieces[0][0], scope)
        if not isinstance(url, str):
            raise refused("invalid_request", f"{template} gives no text, but a URL is needed.")
        return parse(url)
    text = ""
    for piece, is_expression in pieces:
        text += _encoded(piece, render(piece, scope), after=text) if is_expression else piece
    path = text[len(_prefix(text)) :].partition("#")[0].partition("?")[0]
    if any(unquote(segment) in {".", ".."} for segment in path.split("/")):
        raise _bad(text, "its path may not hold the segments . and ..")
    return parse(text)


def names_its_host(template: str) -> bool:
    """Whether a URL template writes out scheme and host, so that no input can choose them."""
    pieces = tuple(_pieces(template.strip()))
    if not pieces or pieces[0][1]:
        return False
    return _FIXED_HOST.match(pieces[0][0] + ("/" if len(pieces) == 1 else "")) is not None


def _pieces(template: str) -> Iterator[tuple[str, bool]]:
    """Split a template into (text, False) and (expression with its braces, True)."""
    try:
        tokens = list(_lexer.lex(template))
    except TemplateSyntaxError as error:
        raise refused("invalid_request", f"The url {template} is no template: {error.message}") from None
    expression = ""
    for _, token, value in tokens:
        if token == "data":  # noqa: S105
            yield value, False
        elif token == "variable_end":  # noqa: S105
            yield expression + value, True
            expression = ""
        elif token == "variable_begin" or expression:  # noqa: S105
            expression += value
        else:
            raise refused("invalid_request", f"The url {template} may hold only {{{{ expressions }}}}.")
    if expression:
        raise refused("invalid_request", f"The url {template} has an expression that does not end.")


def _encoded(expression: str, value: Any, *, after: str) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    in_query = "?" in after or "#" in after
    if value is None and in_query:
        value = ""
    if not isinstance(value, str | int | float):
        raise refused(
            "invalid_request",
            f"{expression} in the url gives no text or number.",
        )
    text = str(value)
    if not text and not in_query:
        raise refused("invalid_request", f"{expression} in the path of the url is empty.")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise refused("invalid_request", f"{expression} in the url is not valid Unicode.") from None


def _prefix(text: str) -> str:
    match = _BEFORE_PATH.match(text)
    return match[0] if match else ""


def _bad(url: str, why: str) -> ToolError:
    # Path and query hold input: a message says no more than whose URL it is.
    shown = _prefix(url)[:200].rpartition("@")[2] or "The URL"
    return refused("invalid_request", f"{shown!r} cannot be called: {why}.")
