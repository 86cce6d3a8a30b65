"""What a tool's reply becomes: JSON, or text; within bounds. Pure: gets bytes, opens nothing."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

from workflows.tools.errors import ToolError

MAX_BODY = 4 * 1024 * 1024  # bytes, as received and again when unpacked
MAX_EXCERPT = 500  # characters of an error's body that a message quotes
_MAX_HEADER = 1_000
_MIN_SECRET = 6  # a shorter one would be found in texts that it is not in
REDACTED = "[redacted]"


def value(
    raw: bytes, headers: Mapping[str, str], *, tool: str, status: int, credential: str | None = None
) -> Any:
    """The JSON of a body that says it is JSON (or does not say and is); else `{"text": …}`.

    An empty body is an empty text, whatever it says.

    Raises: ToolError(malformed_body | too_large).
    """
    data = without(_unpacked(raw, headers, tool=tool, status=status), credential)
    media, charset = _content_type(headers)
    if data and (media == "application/json" or media.endswith("+json")):
        try:
            return _json(data)
        except ValueError as error:
            raise ToolError(
                "malformed_body",
                f"The reply of tool {tool} says it is JSON, but is not: {str(error)[:200]}.",
                outcome_known=True,
                status=status,
            ) from None
    if not media:
        try:
            return _json(data)
        except ValueError:
            pass
    return {"text": _text(data, charset)}


def excerpt(
    raw: bytes, headers: Mapping[str, str], *, tool: str, status: int, credential: str | None = None
) -> str:
    """The beginning of an error's body, on one line; empty when it cannot be read."""
    try:
        data = without(_unpacked(raw, headers, tool=tool, status=status), credential)
    except ToolError:
        return ""
    text = " ".join(_text(data, _content_type(headers)[1]).split())
    return text if len(text) <= MAX_EXCERPT else text[:MAX_EXCERPT] + "…"


def recorded(raw: list[tuple[bytes, bytes]], *, credential: str | None) -> dict[str, str]:
    """The headers of a reply by lower-case name, without cookies and without our credential."""
    headers: dict[str, str] = {}
    for name, content in raw:
        key = name.decode("latin-1").lower()
        if key == "set-cookie":
            continue
        text = without(content, credential).decode("latin-1")[:_MAX_HEADER]
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def without(data: bytes, credential: str | None) -> bytes:
    """What the other side sent, but for the secret that we had sent it."""
    secret = credential.split()[-1].encode() if credential and credential.strip() else b""
    return data.replace(secret, REDACTED.encode()) if len(secret) >= _MIN_SECRET else data


def _unpacked(raw: bytes, headers: Mapping[str, str], *, tool: str, status: int) -> bytes:
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding in {"", "identity"}:
        return raw
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise ToolError(
            "malformed_body",
            f"The reply of tool {tool} is encoded as {coding[:40]}, which was not asked for.",
            outcome_known=True,
            status=status,
        )
    try:
        data = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(raw, MAX_BODY + 1)
    except zlib.error as error:
        raise ToolError(
            "malformed_body",
            f"The reply of tool {tool} cannot be unpacked: {error}.",
            outcome_known=True,
            status=status,
        ) from None
    if len(data) > MAX_BODY:
        raise too_large(tool, status)
    return data


def too_large(tool: str, status: int) -> ToolError:
    return ToolError(
        "too_large",
        f"The reply of tool {tool} is larger than {MAX_BODY // (1024 * 1024)} MB.",
        outcome_known=True,
        status=status,
    )


def _content_type(headers: Mapping[str, str]) -> tuple[str, str]:
    media, _, parameters = headers.get("content-type", "").partition(";")
    charset = "utf-8"
    for parameter in parameters.split(";"):
        name, _, content = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = content.strip().strip('"') or charset
    return media.strip().lower(), charset


def _text(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset, "replace")
    except (LookupError, ValueError):  # no such charset, or no charset for text
        return data.decode("utf-8", "replace")


def _json(data: bytes) -> Any:
    """Raises: ValueError, also for what JSON does not know (NaN, infinity) and for bottomless nesting."""
    try:
        return json.loads(data, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number
