"""The filter of the runs list, from the address and back: the text box and the controls as one value.

Shape only. What cannot be read is told in `problems`, and then the filter matches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

from django.http import QueryDict
from django.utils import timezone

from console.forms import moments, run_terms
from console.forms.run_terms import Term, Terms
from workflows.queries.run_matching import Bound, RunFilter


@dataclass(frozen=True)
class Range:
    """A stretch of time up to now, and how its histogram is cut."""

    key: str
    label: str
    length: timedelta | None
    bins: int = 0
    bin_label: str = ""


RANGES: Final = (
    Range("1h", "Last hour", timedelta(hours=1), 60, "per minute"),
    Range("24h", "Last 24 h", timedelta(hours=24), 96, "per 15 min"),
    Range("7d", "Last 7 days", timedelta(days=7), 84, "per 2 h"),
    Range("30d", "Last 30 days", timedelta(days=30), 90, "per 8 h"),
    Range("all", "Any time", None),
)
DEFAULT_RANGE: Final = RANGES[1]
CUSTOM: Final = Range("custom", "From … to …", None)


@dataclass(frozen=True)
class View:
    """A tab over the list: a name and the states that it shows."""

    key: str
    label: str
    states: tuple[str, ...] = ()


VIEWS: Final = (
    View("", "All"),
    View("attention", "Needs attention"),
    View("failed", "Failed", ("failed",)),
    View("active", "Running", run_terms.OPEN_STATES),
    View("succeeded", "Succeeded", ("succeeded",)),
    View("cancelled", "Cancelled", ("cancelled",)),
)
# Parameters of the address besides `q`, `range`, `tag` and the places in the list: how a condition is made of each.
_SINGLE: Final[Mapping[str, tuple[str, str]]] = {
    "state": ("state", ":"),
    "workflow": ("workflow", ":"),
    "release": ("release", ":"),
    "environment": ("environment", ":"),
    "session": ("session", ":"),
    "error": ("error", ":"),
    "group": ("group", ":"),
    "taint": ("taint", ":"),
    "cost_min": ("cost", ">="),
    "cost_max": ("cost", "<="),
    "tokens_min": ("tokens", ">="),
    "tokens_max": ("tokens", "<="),
    "duration_min": ("duration", ">="),
    "duration_max": ("duration", "<="),
    "from": ("since", ":"),
    "to": ("until", ":"),
}
_MAX: Final = 500
_TAGS: Final = 20


@dataclass(frozen=True, kw_only=True)
class RunQuery:
    """What the address asks for: `values` by parameter, and what they and the text say."""

    text: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    range: Range = DEFAULT_RANGE
    saved: str = ""  # the number of the saved view that it began with
    after: str = ""
    before: str = ""
    terms: Terms = field(default_factory=Terms)
    controls: tuple[tuple[str, Term], ...] = ()  # each with its parameter
    problems: tuple[str, ...] = ()

    @property
    def conditions(self) -> Iterator[Term]:
        """All conditions, of the controls and of the text."""
        yield from (term for _, term in self.controls)
        yield from self.terms.conditions

    def of(self, key: str) -> list[str]:
        """Return the values of one kind of condition."""
        return [term.value for term in self.conditions if term.key == key]

    def _first(self, key: str) -> str:
        return next(iter(self.of(key)), "")

    @property
    def view(self) -> View | None:
        """The built-in tab that the state belongs to."""
        return next((view for view in VIEWS if view.key == self.values.get("state", "")), None)

    def filter(self, now: datetime) -> RunFilter:
        """Return the filter that this means at a moment. A filter that cannot be read matches nothing."""
        if self.problems:
            return RunFilter(nothing=True)
        now = timezone.localtime(now)
        begins = [found.resolve(now) for found in map(moments.read, self.of("since")) if found]
        ends = [found.resolve(now, end=True) for found in map(moments.read, self.of("until")) if found]
        if self.range.length:
            begins.append(now - self.range.length)
        words = {word for value in self.of("state") for word in value.split(",")}
        if "active" in words:
            words |= set(run_terms.OPEN_STATES)
        return RunFilter(
            text=self.terms.text,
            phrases=tuple(phrase.value for phrase in self.terms.phrases),
            workflow=self._first("workflow"),
            environment=self._first("environment"),
            session=self._first("session"),
            error=self._first("error"),
            group=int(self._first("group") or 0) or None,
            taint=self._first("taint"),
            release=int(self._first("release") or 0) or None,
            states=tuple(sorted(words - {"active", "attention"})),
            attention="attention" in words,
            tags=tuple(dict.fromkeys(self.of("tag"))),
            bounds=tuple(_bound(term) for term in self.conditions if term.comparison),
            since=max(begins, default=None),
            until=min(ends, default=None),
        )

    def address(self, **changes: str) -> str:
        """Write the query string with some values changed; without a cursor it leads to the newest page."""
        return "?" + urlencode(self._pairs(changes), safe=":,")

    def _pairs(self, changes: Mapping[str, str]) -> list[tuple[str, str]]:
        zoomed = changes.get("from", self.values.get("from")) or changes.get("to", self.values.get("to"))
        ranged = "" if zoomed or self.range in (DEFAULT_RANGE, CUSTOM) else self.range.key
        plain = {"q": self.text, **self.values, "range": ranged, "view": self.saved, **changes}
        order = ["q", *_SINGLE, "range", "view"]
        known = [(name, plain.pop(name)) for name in order if name in plain]
        tags = [] if "tag" in plain and not plain.pop("tag") else [("tag", tag) for tag in self.tags]
        return [(name, value) for name, value in (*known, *tags, *plain.items()) if value]

    @property
    def list_key(self) -> str:
        """The query string as the pages of its runs carry it; empty for the list as it is without any filter."""
        return quote(self.address()[1:], safe="")

    @property
    def narrowed(self) -> bool:
        """Say whether anything but the preset range narrows the list."""
        return bool(self.text or self.values or self.tags)

    def without_text(self, place: tuple[int, int]) -> str:
        """Write the query string without one term of the text."""
        return self.address(q=run_terms.without(self.text, place))

    def without_tag(self, tag: str) -> str:
        """Write the query string without one tag."""
        return replace(self, tags=tuple(each for each in self.tags if each != tag)).address()


def _bound(term: Term) -> Bound:
    assert term.comparison is not None
    return Bound(of=term.key, comparison=term.comparison, amount=term.amount)  # type: ignore[arg-type]


def parse(asked: QueryDict) -> RunQuery:
    """Read the query of an address."""
    text = _clean(asked.get("q", ""))
    terms = run_terms.parse(text)
    values, controls, problems = _controls(asked)
    tags = tuple(dict.fromkeys(filter(None, map(_clean, asked.getlist("tag")))))[:_TAGS]
    controls += [("tag", Term("tag", tag)) for tag in tags]
    ranges = {each.key: each for each in RANGES}
    chosen = ranges.get(asked.get("range", ""), DEFAULT_RANGE)
    timed = {"from", "to"} & values.keys() or any(term.key in {"since", "until"} for term in terms.conditions)
    query = RunQuery(
        text=text,
        values=values,
        tags=tags,
        range=CUSTOM if timed else chosen,
        saved=_clean(asked.get("view", "")) if asked.get("view", "").isdecimal() else "",
        after=asked.get("after", ""),
        before=asked.get("before", ""),
        terms=terms,
        controls=tuple(controls),
    )
    return replace(query, problems=(*problems, *terms.problems, *_clashes(query)))


def _controls(asked: QueryDict) -> tuple[dict[str, str], list[tuple[str, Term]], list[str]]:
    values, controls, problems = {}, [], []
    for name, (key, sign) in _SINGLE.items():
        value = _clean(asked.get(name, ""))
        if not value:
            continue
        values[name] = value
        try:
            term = run_terms.condition(key, sign, value)
        except ValueError as problem:
            problems.append(str(problem))
        else:
            values[name] = _canonical(name, term.value)
            controls.append((name, replace(term, value=values[name])))
    return values, controls, problems


def _canonical(name: str, value: str) -> str:
    """Write a clock time with its zone: an address means the same to everybody."""
    found = moments.read(value) if name in ("from", "to") else None
    if found is None or found.at is None:
        return value
    return moments.write(found.resolve(timezone.localtime()))


def _clashes(query: RunQuery) -> Iterator[str]:
    for key in run_terms.SINGLE:
        said = list(dict.fromkeys(query.of(key)))
        if len(said) > 1:
            yield f"“{key}” is asked for twice, as {said[0]} and as {said[1]}: a run has one. Take one out."
    now = timezone.localtime()
    begins = [found.resolve(now) for found in map(moments.read, query.of("since")) if found]
    ends = [found.resolve(now, end=True) for found in map(moments.read, query.of("until")) if found]
    if begins and ends and max(begins) >= min(ends):
        yield "The filter ends before it begins: look at “since” and “until”."


def _clean(value: str) -> str:
    return value.replace("\0", "").strip()[:_MAX].strip()
