"""Token counts that can be trusted to be counts: checked where a provider reports them, else estimated.

Pure: no tokenizer, no I/O.
"""

from __future__ import annotations

from dataclasses import replace

from providers.messages import NO_USAGE, Usage

# More than any model takes or gives in one call: above it a number is a lie, not a count.
_MOST = 1_000_000_000
# Characters per token, roughly, over English text and code.
_CHARS = 4


def reported(*, input: object, output: object, cached: object = None, reasoning: object = None) -> Usage:
    """A provider's own numbers; `missing` unless both totals are whole numbers that can be true."""
    counts = _count(input), _count(output)
    if counts[0] is None or counts[1] is None:
        return NO_USAGE
    return Usage(
        input=counts[0],
        cached=min(_count(cached) or 0, counts[0]),
        output=counts[1],
        reasoning=min(_count(reasoning) or 0, counts[1]),
        source="provider",
    )


def estimated(*, sent: str, received: str) -> Usage:
    """A guess from the length of the texts, for an answer that came without numbers."""
    return Usage(input=_guess(sent), output=_guess(received), source="estimated")


def at_least(counted: Usage, *, received: str) -> Usage:
    """Counts of an answer that broke off before the final ones came: what was received counts as well."""
    if counted.source == "missing":
        return counted
    return replace(counted, output=max(counted.output, _guess(received)), source="estimated")


def _guess(text: str) -> int:
    return -(-len(text) // _CHARS)


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None
    return int(value) if value == int(value) else None
