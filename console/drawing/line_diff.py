"""What changed between two texts, line by line and word by word, in bounded time. Pure values, no markup.

`difflib` alone takes cubic time on texts that were made to hurt it. So lines that are unique on both sides are
matched first, and only what stands between them goes to `difflib`, against an allowance that all of one
comparison shares. Where it is spent, the rest counts as replaced: right still, only coarser.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["same", "cut", "add", "change"]
# A text and whether it differs from its counterpart.
Piece: TypeAlias = tuple[str, bool]
Block: TypeAlias = tuple[int, int, int, int]  # old from, to; new from, to

ALLOWANCE: Final = 2_000_000  # steps of comparing; about half a second where all of it is spent
MAX_PAIRED: Final = 40  # lines on either side of a replaced block that are paired by likeness
MIN_LIKENESS: Final = 0.3
_WORDS: Final = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a comparison; numbers count from 1, None on the side where there is no line."""

    kind: Kind
    old_number: int | None = None
    new_number: int | None = None
    old: tuple[Piece, ...] = ()
    new: tuple[Piece, ...] = ()


@dataclass(slots=True)
class _Allowance:
    left: int = ALLOWANCE

    def take(self, steps: int) -> bool:
        """Spend the steps if they are there."""
        if steps > self.left:
            return False
        self.left -= steps
        return True


def compare(old: str, new: str) -> list[Row]:
    """Return the rows that lead from one text to the other, in order."""
    before, after = old.split("\n"), new.split("\n")
    allowance = _Allowance()
    rows: list[Row] = []
    at_old = at_new = 0
    for block in [*_differing(before, after, allowance), (len(before), len(before), len(after), len(after))]:
        for number in range(block[0] - at_old):
            rows.append(_same(before[at_old + number], at_old + number + 1, at_new + number + 1))
        rows.extend(_replaced(before, after, block, allowance))
        at_old, at_new = block[1], block[3]
    return rows


def _same(text: str, old_number: int, new_number: int) -> Row:
    pieces = ((text, False),)
    return Row("same", old_number, new_number, pieces, pieces)


def _differing(before: Sequence[str], after: Sequence[str], allowance: _Allowance) -> Iterator[Block]:
    """The stretches that differ, in order."""
    at_old = at_new = 0
    anchors = [*_anchors(before, after), (len(before), len(after))]
    for old, new in anchors:
        yield from _between(before, after, (at_old, old, at_new, new), allowance)
        at_old, at_new = old + 1, new + 1


def _anchors(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Equal lines that occur once on each side, as many as keep their order (patience diff)."""
    times_old, times_new = Counter(before), Counter(after)
    place = {line: number for number, line in enumerate(after) if times_new[line] == 1}
    pairs = [
        (number, place[line]) for number, line in enumerate(before) if times_old[line] == 1 and line in place
    ]
    return _longest_rising(pairs)


def _longest_rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of the pairs whose second numbers rise too."""
    tops: list[int] = []
    holders: list[int] = []
    previous: list[int] = []
    for number, (_, place) in enumerate(pairs):
        at = bisect_left(tops, place)
        previous.append(holders[at - 1] if at else -1)
        tops[at : at + 1] = [place]
        holders[at : at + 1] = [number]
    chosen = []
    number = holders[-1] if holders else -1
    while number >= 0:
        chosen.append(pairs[number])
        number = previous[number]
    return chosen[::-1]


def _between(
    before: Sequence[str], after: Sequence[str], block: Block, allowance: _Allowance
) -> Iterator[Block]:
    """The stretches that differ inside a block; its equal ends are cut off first."""
    old_from, old_to, new_from, new_to = block
    while old_from < old_to and new_from < new_to and before[old_from] == after[new_from]:
        old_from, new_from = old_from + 1, new_from + 1
    while old_from < old_to and new_from < new_to and before[old_to - 1] == after[new_to - 1]:
        old_to, new_to = old_to - 1, new_to - 1
    if old_from == old_to and new_from == new_to:
        return
    old, new = before[old_from:old_to], after[new_from:new_to]
    for tag, a, b, c, d in _operations(old, new, allowance):
        if tag != "equal":
            yield old_from + a, old_from + b, new_from + c, new_from + d


def _operations(
    old: Sequence[str], new: Sequence[str], allowance: _Allowance
) -> list[tuple[str, int, int, int, int]]:
    times = Counter(new)
    equal_pairs = sum(times[item] for item in old)
    if not allowance.take(len(old) + len(new) + equal_pairs * min(len(old), len(new))):
        return [("replace", 0, len(old), 0, len(new))]
    return list(SequenceMatcher(None, old, new, autojunk=False).get_opcodes())


def _replaced(
    before: Sequence[str], after: Sequence[str], block: Block, allowance: _Allowance
) -> Iterator[Row]:
    """The rows of a stretch that differs: like lines beside each other, the others on their own."""
    old_from, old_to, new_from, new_to = block
    at_old, at_new = old_from, new_from
    pairs = _alike(before[old_from:old_to], after[new_from:new_to], allowance)
    for a, b in [*pairs, (old_to - old_from, new_to - new_from)]:
        for number in range(at_old, old_from + a):
            yield Row("cut", old_number=number + 1, old=((before[number], False),))
        for number in range(at_new, new_from + b):
            yield Row("add", new_number=number + 1, new=((after[number], False),))
        at_old, at_new = old_from + a, new_from + b
        if at_old < old_to and at_new < new_to:
            old, new = _marked(before[at_old], after[at_new], allowance)
            yield Row("change", at_old + 1, at_new + 1, old, new)
            at_old, at_new = at_old + 1, at_new + 1


def _alike(old: Sequence[str], new: Sequence[str], allowance: _Allowance) -> list[tuple[int, int]]:
    """Pairs of lines that are versions of each other, in order, as alike in all as can be."""
    if not old or not new:
        return []
    if max(len(old), len(new)) > MAX_PAIRED:
        return []
    words_old, words_new = [Counter(_words(line)) for line in old], [Counter(_words(line)) for line in new]
    size = sum(len(words) for words in words_old) * len(new) + sum(map(len, words_new)) * len(old)
    if not allowance.take(size):
        return []
    likeness = [[_likeness(a, b) for b in words_new] for a in words_old]
    # best[i][j]: the most that lines from i and from j on can be alike.
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in range(len(old) - 1, -1, -1):
        for j in range(len(new) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + likeness[i][j])
    return list(_path(best, likeness))


def _path(best: Sequence[Sequence[float]], likeness: Sequence[Sequence[float]]) -> Iterator[tuple[int, int]]:
    i = j = 0
    while i < len(likeness) and j < len(likeness[0]):
        if likeness[i][j] and best[i][j] == best[i + 1][j + 1] + likeness[i][j]:
            yield i, j
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1


def _likeness(old: Counter[str], new: Counter[str]) -> float:
    """The share of words that two lines have in common, 0 where it is too small to show."""
    total = old.total() + new.total()
    share = 2 * (old & new).total() / total if total else 0.0
    return share if share >= MIN_LIKENESS else 0.0


def _words(line: str) -> list[str]:
    return [word for word in _WORDS.findall(line) if not word.isspace()]


def _marked(old: str, new: str, allowance: _Allowance) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both lines in pieces, those marked that differ."""
    a, b = _WORDS.findall(old), _WORDS.findall(new)
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    left, right = [(word, False) for word in a[:start]], [(word, False) for word in b[:start]]
    middle_a, middle_b = a[start : len(a) - end], b[start : len(b) - end]
    for tag, i, j, k, m in _operations(middle_a, middle_b, allowance):
        left += [(word, tag != "equal") for word in middle_a[i:j]]
        right += [(word, tag != "equal") for word in middle_b[k:m]]
    tail = [(word, False) for word in a[len(a) - end :]]
    return _joined(left + tail), _joined(right + tail)


def _joined(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Neighbours of one sort as one piece; a lone space between two marked words counts as marked."""
    last = len(pieces) - 1
    flags = [
        marked or (text == " " and 0 < at < last and pieces[at - 1][1] and pieces[at + 1][1])
        for at, (text, marked) in enumerate(pieces)
    ]
    texts = iter([text for text, _ in pieces])
    return tuple(("".join(next(texts) for _ in group), flag) for flag, group in groupby(flags))
