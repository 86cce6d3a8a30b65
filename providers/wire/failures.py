"""Which error class a provider's refusal is: by its HTTP status, its own code and its words.

Pure. The adapters bring their format's table of codes; statuses and words are the same for all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

_BY_STATUS = {
    401: "auth",
    402: "quota_exhausted",
    403: "permission",
    404: "model_not_found",
    408: "timeout",
    409: "server_error",
    425: "server_error",
    429: "rate_limited",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
# What servers say in prose where their codes are vague; looked at only for refusals of the request itself.
_CONTEXT = re.compile(
    r"context[ _](length|size|window)|maximum context|prompt is too long|too many (input )?tokens"
    r"|exceeds? the (available )?context|reduce the length of the messages|input is too long",
    re.IGNORECASE,
)
_FILTER = re.compile(r"content[ _](filter|management|policy)|safety system", re.IGNORECASE)
_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|credit balance|billing|spend limit", re.IGNORECASE
)
_UNKNOWN_MODEL = re.compile(r"model.{0,80}(not found|does not exist|not exist|unknown)", re.IGNORECASE)
_LONGEST_WAIT_S = 7 * 86400.0


def error_class(status: int, *, code: str = "", text: str = "", codes: Mapping[str, str]) -> str:
    """The class for an HTTP status, the provider's own code and message. `codes` is the format's table.

    A code that says no more than “our fault” leaves it to a status that does: 503 is `overloaded` whatever it says.
    """
    told = codes.get(code)
    if told == "server_error" and status in _BY_STATUS:
        return _BY_STATUS[status]
    if told is not None and told not in {"invalid_request", "rate_limited"}:
        return told
    if status == 429 or told == "rate_limited":
        return "quota_exhausted" if _QUOTA.search(f"{code} {text}") else "rate_limited"
    if status in {400, 413, 422} or told == "invalid_request":
        return _of_request(f"{code} {text}")
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status < 300:
        return "malformed_body"
    return "server_error" if status >= 500 else "invalid_request"


def _of_request(text: str) -> str:
    for pattern, name in (
        (_CONTEXT, "context_overflow"),
        (_FILTER, "content_filter"),
        (_QUOTA, "quota_exhausted"),
        (_UNKNOWN_MODEL, "model_not_found"),
    ):
        if pattern.search(text):
            return name
    return "invalid_request"


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds that the provider asks us to wait (ms, seconds or a date); None for none or nonsense."""
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = _number(headers.get(name))
        if milliseconds is not None:
            return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    wait_s = _number(value)
    return wait_s if wait_s is not None else _until(value, now)


def _number(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return min(number, _LONGEST_WAIT_S) if number >= 0 else None


def _until(value: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=now.tzinfo)
        wait_s = (moment - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S)
