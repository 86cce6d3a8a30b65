"""Two texts compared, as HTML: one under the other or side by side. Every piece of text is escaped here.

What was added or removed is told by a sign and by underlined or struck words, not only by colour. Long unchanged
stretches are folded away. May not: decide what changed; `line_diff` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Final, TypeAlias

from django.utils.safestring import SafeString, mark_safe

from console import formats
from console.drawing import line_diff
from console.drawing.line_diff import Piece, Row

CONTEXT: Final = 3  # unchanged lines that stay in sight around a change
MIN_FOLDED: Final = 4
MAX_ROWS: Final = 4_000
MAX_LINE: Final = 20_000  # characters of one line that are drawn
Drawer: TypeAlias = Callable[[Row], str]
_SIGNS: Final = {"same": " ", "cut": "−", "add": "+"}


@dataclass(frozen=True)
class Counts:
    """How many lines were added and removed."""

    added: int
    removed: int

    def __str__(self) -> str:
        return f"+{self.added:,} −{self.removed:,}"


def counts(old: str, new: str) -> Counts:
    """Count the lines that were added and removed."""
    kinds = [row.kind for row in line_diff.compare(old, new)]
    changed = kinds.count("change")
    return Counts(kinds.count("add") + changed, kinds.count("cut") + changed)


def unified(old: str, new: str) -> SafeString:
    """Draw the second text as a change of the first, removed lines above added ones."""
    rows = [line for row in _grouped(line_diff.compare(old, new)) for line in row]
    return _drawn("diff-unified", rows, _unified_row)


def split(old: str, new: str) -> SafeString:
    """Draw both texts beside each other, line by line."""
    return _drawn("diff-split", line_diff.compare(old, new), _split_row)


def _grouped(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows for one column: within a changed stretch all that was removed, then all that was added."""
    for same, group in groupby(rows, key=lambda row: row.kind == "same"):
        stretch = list(group)
        if same:
            yield stretch
            continue
        yield [Row("cut", row.old_number, None, old=row.old) for row in stretch if row.old_number]
        yield [Row("add", None, row.new_number, new=row.new) for row in stretch if row.new_number]


def _drawn(name: str, rows: Sequence[Row], draw: Drawer) -> SafeString:
    rows = _without_equal_end(rows)
    if all(row.kind == "same" for row in rows):
        return mark_safe('<p class="muted diff-none">The texts are the same.</p>')
    parts = []
    for folded, stretch in _folds(rows[:MAX_ROWS]):
        body = "".join(map(draw, stretch))
        if folded:
            body = (
                f'<details class="diff-fold"><summary>{formats.plural(len(stretch), "unchanged line")}'
                f"</summary>{body}</details>"
            )
        parts.append(body)
    if len(rows) > MAX_ROWS:
        left = formats.plural(len(rows) - MAX_ROWS, "further line")
        parts.append(f'<p class="cut">{left} not drawn: the texts are too long for one page.</p>')
    return mark_safe(f'<div class="diff {name}">{"".join(parts)}</div>')  # noqa: S308 - rows are escaped


def _without_equal_end(rows: Sequence[Row]) -> Sequence[Row]:
    """Leave out the empty line that a newline at both ends makes."""
    last = rows[-1]
    return rows[:-1] if last.kind == "same" and last.old == (("", False),) and len(rows) > 1 else rows


def _folds(rows: Sequence[Row]) -> Iterator[tuple[bool, Sequence[Row]]]:
    """Stretches of rows, each with whether it is folded away."""
    at = 0
    for same, group in groupby(rows, key=lambda row: row.kind == "same"):
        size = len(list(group))
        stretch = rows[at : at + size]
        head = CONTEXT if at else 0
        tail = CONTEXT if at + size < len(rows) else 0
        at += size
        if not same or size - head - tail < MIN_FOLDED:
            yield False, stretch
            continue
        yield False, stretch[:head]
        yield True, stretch[head : size - tail]
        yield False, stretch[size - tail :]


def _unified_row(row: Row) -> str:
    text = _text(row.new, "ins") if row.kind == "add" else _text(row.old, "del")
    return (
        f'<div class="diff-row{_class(row.kind)}">{_number(row.old_number)}{_number(row.new_number)}'
        f"{_sign(row.kind)}<span>{text}</span></div>"
    )


def _split_row(row: Row) -> str:
    old_kind = "same" if row.kind == "same" else "cut"
    new_kind = "same" if row.kind == "same" else "add"
    return (
        f'<div class="diff-row">{_half(row.old_number, old_kind, row.old, "del")}'
        f"{_half(row.new_number, new_kind, row.new, 'ins')}</div>"
    )


def _half(number: int | None, kind: str, pieces: Sequence[Piece], tag: str) -> str:
    if number is None:
        return '<div class="diff-half diff-gap"></div>'
    return (
        f'<div class="diff-half{_class(kind)}">{_number(number)}{_sign(kind)}'
        f"<span>{_text(pieces, tag)}</span></div>"
    )


def _class(kind: str) -> str:
    return "" if kind == "same" else f" diff-{kind}"


def _number(number: int | None) -> str:
    return f'<span class="diff-number">{number or ""}</span>'


def _sign(kind: str) -> str:
    return f'<span class="diff-sign">{_SIGNS[kind]}</span>'


def _text(pieces: Sequence[Piece], tag: str) -> str:
    drawn, room = [], MAX_LINE
    for text, marked in pieces:
        inner = escape(formats.printable(text[:room]), quote=False)
        drawn.append(f"<{tag}>{inner}</{tag}>" if marked else inner)
        room -= len(text)
        if room < 0:
            drawn.append(
                f'<span class="muted"> … {formats.plural(-room, "more character")} in this line</span>'
            )
            break
    return "".join(drawn)
