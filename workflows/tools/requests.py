"""Headers and bodies of tool calls, rendered and checked. Pure: sends nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlencode

from workflows.tools.errors import refused
from workflows.tools.urls import Render

Headers: TypeAlias = tuple[tuple[str, str], ...]

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# Ours, or those that say where a message ends and begins.
_RESERVED = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "idempotency-key",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-interlock-run",
        "x-interlock-step",
    }
)
# Every call's own, unless the author says otherwise.
_DEFAULTS: Headers = (
    ("Accept", "application/json, */*;q=0.5"),
    ("Accept-Encoding", "identity"),
    ("Connection", "close"),
    ("User-Agent", "interlock"),
)


def headers(templates: Mapping[str, Any], scope: Mapping[str, Any], *, tool: str, render: Render) -> Headers:
    """Render a tool's headers. Raises: ToolError(invalid_request)."""
    rendered = []
    for name, template in templates.items():
        if not _NAME.fullmatch(name) or name.lower() in _RESERVED or name.lower().startswith("proxy-"):
            raise refused("invalid_request", f"Tool {tool} may not set the header {name!r}.")
        value = render(template, scope)
        if isinstance(value, bool):
            value = "true" if value else "false"
        if not isinstance(value, str | int | float):
            raise refused("invalid_request", f"The header {name} of tool {tool} gives no text or number.")
        rendered.append((name, str(value)))
    return checked(rendered, with_defaults=False)


def checked(pairs: Iterable[tuple[str, str]], *, with_defaults: bool = True) -> Headers:
    """Headers that can be written as they are; of one name only the first.

    Raises: ToolError(invalid_request) for line breaks, other control characters and what is not Latin-1.
    """
    chosen: dict[str, tuple[str, str]] = {}
    for name, value in (*pairs, *(_DEFAULTS if with_defaults else ())):
        chosen.setdefault(name.lower(), (name, value))
    for name, value in chosen.values():
        if _CONTROL.search(value):
            raise refused("invalid_request", f"The header {name} would hold a control character.")
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            raise refused("invalid_request", f"The header {name} would hold a character it cannot.") from None
    return tuple((name, value.strip(" \t")) for name, value in chosen.values())


def body(
    template: Any, headers: Headers, scope: Mapping[str, Any], *, tool: str, render: Render
) -> tuple[bytes | None, Headers]:
    """Render a tool's body: JSON, or what its Content-Type header says (a form, or text as it is).

    Raises: ToolError(invalid_request).
    """
    if template is None:
        return None, headers
    value = render(template, scope)
    media = next((text for name, text in headers if name.lower() == "content-type"), "")
    kind = media.partition(";")[0].strip().lower()
    try:
        if kind == "application/x-www-form-urlencoded" and isinstance(value, dict):
            return urlencode(value, doseq=True).encode("ascii"), headers
        if kind and not kind.endswith(("/json", "+json")) and isinstance(value, str):
            return value.encode("utf-8"), headers
        data = json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (ValueError, TypeError) as error:
        raise refused("invalid_request", f"The body of tool {tool} cannot be sent: {error}.") from None
    return data, headers if kind else (*headers, ("Content-Type", "application/json"))


def authorization(credential: str | None) -> Headers:
    """The header of a credential: `Bearer`, unless the secret names its scheme itself (`Basic …`)."""
    if not credential:
        return ()
    secret = credential.strip()
    return (("Authorization", secret if " " in secret else f"Bearer {secret}"),)
