"""Masks: what stands for a secret wherever anything is stored, shown or computed (pure).

A mask is a text such as `[secret:card:3f9a1c2b7d4e5f60a1b2]`: a name to read, and a random number that means nothing
to whoever does not have the secrets of its run. It is plain ASCII that JSON, HTML and templates leave as it is.
A `Veil` holds the secrets of one run and its child runs: it reveals what leaves, and masks what comes back.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote, quote_plus

Json = Any
MASK: Final = re.compile(r"\[secret:[A-Za-z0-9_-]{1,40}:[0-9a-f]{20}\]")
_BEGINS: Final = "[secret:"
# From so many bytes on, a secret is looked for in base64 and hex too: of a shorter one too little would be compared.
_ENCODED_FROM: Final = 8
_HEX: Final = re.compile("%[0-9A-F]{2}")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]+")


def mask(name: str, number: str) -> str:
    """Return the mask of a field. `number`: 20 digits in hex."""
    return f"{_BEGINS}{_NOT_IN_NAMES.sub('-', name)[:40] or 'value'}:{number}]"


def has_mask(value: Json) -> bool:
    """Say whether a mask stands anywhere in a value."""
    if isinstance(value, str):
        return _BEGINS in value and MASK.search(value) is not None
    if isinstance(value, Mapping):
        return any(has_mask(key) or has_mask(each) for key, each in value.items())
    return isinstance(value, list | tuple) and any(has_mask(each) for each in value)


@dataclass(frozen=True)
class Veil:
    """The secrets of a run by their masks."""

    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def reveal(self, value: Json) -> Json:
        """Return a value with the secrets in place of their masks, in keys too. Other runs' masks stay."""
        if isinstance(value, str):
            return MASK.sub(self._revealed, value) if _BEGINS in value else value
        if isinstance(value, Mapping):
            return {self.reveal(key): self.reveal(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.reveal(each) for each in value]
        return value

    def scrub(self, value: Json) -> Json:
        """Return a value with the masks in place of their secrets: in texts and keys, as they are or written in JSON,
        HTML, an address, base64 or hex; and a number whose digits are a secret."""
        if isinstance(value, str):
            return self._scrubbed(value)
        if isinstance(value, Mapping):
            return {self.scrub(key): self.scrub(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.scrub(each) for each in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._of_number(value)
        return value

    def _revealed(self, found: re.Match[str]) -> str:
        return self.secrets.get(found[0], found[0])

    def _scrubbed(self, text: str) -> str:
        there = [form for form in self._masks if form in text]
        if not there:
            return text
        # Own masks stay, whatever a secret says; of the forms that begin at a place, the longest counts.
        kept = [own for own in self.secrets if own in text]
        wanted = [*kept, *sorted(there, key=len, reverse=True)]
        return re.sub(
            "|".join(map(re.escape, wanted)), lambda found: self._masks.get(found[0], found[0]), text
        )

    def _of_number(self, number: float) -> Json:
        texts = [str(number), str(int(number))] if number == number // 1 else [str(number)]
        return next((self._masks[text] for text in texts if text in self._masks), number)

    @cached_property
    def _masks(self) -> Mapping[str, str]:
        """Every form of every secret → its mask; where two secrets share a form, the first one's."""
        found: dict[str, str] = {}
        for own, secret in self.secrets.items():
            for form in _forms(secret):
                found.setdefault(form, own)
        return found


NOTHING: Final = Veil()
# The secrets that this thread acts with now: what it logs meanwhile is scrubbed.
acting_with: Final[ContextVar[Veil]] = ContextVar("acting_with", default=NOTHING)


def _forms(secret: str) -> Iterator[str]:
    """How a text may come back: as it is, and written into other formats, up to twice."""
    once = list(_written(secret))
    yield from dict.fromkeys([*once, *(form for each in once for form in _written(each))])
    data = secret.encode("utf-8", "surrogatepass")
    if len(data) >= _ENCODED_FROM:
        yield from (data.hex(), data.hex().upper())
        yield from _in_base64(data)


def _written(text: str) -> Iterator[str]:
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(text)[1:-1].replace("/", "\\/")
    yield re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text)[1:-1])
    yield html.escape(text)
    data = text.encode("utf-8", "surrogatepass")
    for quoted in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield quoted
        yield _HEX.sub(lambda found: found[0].lower(), quoted)


def _in_base64(data: bytes) -> Iterator[str]:
    """Yield what all base64 texts with these bytes inside share, by where a group of three begins."""
    for before in range(3):
        first = (0, 2, 3)[before]
        text = base64.b64encode(b"\0" * before + data).decode()
        loose = (before + len(data)) % 3
        whole = text.rstrip("=")
        middle = whole[first : len(whole) - (1 if loose else 0)]
        yield middle
        yield middle.replace("+", "-").replace("/", "_")
