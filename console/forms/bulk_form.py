"""What a page on bulk actions asks for, from the address and from the form. Shape only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils.dateparse import parse_datetime

from console.forms import fork_form, run_filter
from console.forms.fork_form import ForkForm
from workflows.bulk import options as pace
from workflows.bulk import selections
from workflows.bulk.changes import Change
from workflows.bulk.options import Options
from workflows.bulk.previews import Action, Asked
from workflows.bulk.selections import Matching, Rest, Selection

# Names of our own in an address; the others are those of the list's filter.
OWN: Final = ("bulk", "pick", "matching", "frozen", "of", "part", "cancelled", "above", "clean")
DEFAULT_SHARE: Final = 10


@dataclass(frozen=True, kw_only=True)
class Question:
    """A bulk action as an address asks for it."""

    asked: Asked
    address: str  # the same question again, frozen at the same moment
    list_address: str  # the list that it was asked from
    chose: bool  # whether it says what is to become of cancelled runs, or of child runs

    def with_cancelled(self, wanted: bool) -> str:
        """Write the address of the same question, with cancelled runs or without."""
        asked = QueryDict(self.address, mutable=True)
        asked["cancelled"] = "1" if wanted else "0"
        return asked.urlencode()

    def with_above(self) -> str:
        """Write the address of the same question of the runs at the top, in place of child runs below failed ones."""
        asked = QueryDict(self.address, mutable=True)
        asked["above"] = "1"
        return asked.urlencode()


def read(query: QueryDict, *, now: datetime) -> Question | None:
    """Read the address; None when it names no action. Raises: Invalid when it names no runs, or too many."""
    action = _ACTIONS.get(query.get("bulk", ""))
    if action is None:
        return None
    frozen_at = _moment(query.get("frozen", ""), now=now)
    address = query.copy()
    address["frozen"] = frozen_at.isoformat()
    for name in ("after", "before"):
        address.pop(name, None)
    return Question(
        asked=Asked(
            action=action,
            selection=selection(query, now=frozen_at),
            frozen_at=frozen_at,
            with_cancelled=query.get("cancelled") == "1",
            above=action == "retry" and query.get("above") == "1",
            change=Change(clean_of=_digits(query.get("clean", ""))) if action == "fork" else None,
        ),
        address=address.urlencode(),
        list_address=list_address(query),
        chose="cancelled" in query or "above" in query,
    )


_ACTIONS: Final[dict[str, Action]] = {"retry": "retry", "cancel": "cancel", "fork": "fork"}


def _digits(text: str) -> int | None:
    """Return a number of the page's own; anything else is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def selection(query: QueryDict, *, now: datetime) -> Selection:
    """Read which runs are meant. Raises: Invalid."""
    if query.get("matching"):
        return Matching(run_filter.parse(query).filter(now))
    of = query.get("of", "").replace("\0", "")[:20]
    if of:
        return Rest(of, "failed" if query.get("part", "") == "failed" else "pending")
    return selections.picked(query.getlist("pick"))


def list_address(query: QueryDict) -> str:
    """Write the query string of the list of runs that an address belongs to."""
    kept = [(name, value) for name, values in query.lists() if name not in OWN for value in values]
    return f"?{urlencode(kept)}" if kept else ""


def _moment(text: str, *, now: datetime) -> datetime:
    """Read when the question was frozen; never in the future, and now where it does not say."""
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    return min(found, now) if found is not None and found.tzinfo is not None else now


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What somebody typed into the form; `problems` by the field's name. Wrong input is kept as it was typed."""

    reason: str = ""
    rate: str = f"{pace.RETRY_RATE:g}"
    at_once: str = ""
    canary: str = str(pace.CANARY)
    stops: bool = True
    share: str = str(DEFAULT_SHARE)
    deployed: bool = False
    fork: ForkForm | None = None
    key: str = ""
    expected: int | None = None
    options: Options = field(default_factory=Options)
    problems: dict[str, str] = field(default_factory=dict)

    def completed(self, asked: Asked) -> Asked:
        """Return what is asked for, with what only the form says."""
        change = asked.change
        if change is not None and self.fork is not None and self.fork.ask is not None:
            ask = self.fork.ask
            change = replace(change, from_step=ask.from_step, overrides=ask.overrides, effects=ask.effects)
        return replace(asked, deployed=self.deployed, change=change)


def answer(posted: QueryDict, *, action: Action) -> Answer:
    """Read the form."""
    problems: dict[str, str] = {}
    names = ("reason", "rate", "at_once", "canary", "share")
    reason, rate, at_once, canary, share = (posted.get(name, "").strip()[:1000] for name in names)
    if not reason:
        problems["reason"] = "Say why: it goes to the audit log and into each run's history."
    stops = action != "cancel" and bool(posted.get("stops"))
    limit = _number(share, name="share", low=0, high=99, problems=problems) if stops else None
    fork = fork_form.read({key: str(value) for key, value in posted.items()}) if action == "fork" else None
    problems.update(fork.problems if fork is not None else {})
    return Answer(
        reason=reason,
        rate=rate,
        at_once=at_once,
        canary=canary,
        stops=stops,
        share=share,
        deployed=action == "retry" and bool(posted.get("deployed")),
        fork=fork,
        key=posted.get("key", "")[:64],
        expected=_digits(posted.get("expected", "")),
        options=Options(
            rate_per_s=_number(rate, name="rate", low=pace.MIN_RATE, high=pace.MAX_RATE, problems=problems),
            at_once=_whole(at_once, name="at_once", low=1, high=pace.MAX_AT_ONCE, problems=problems),
            canary=_whole(canary, name="canary", low=0, high=pace.MAX_CANARY, problems=problems) or 0,
            stop_above=limit / 100 if limit is not None else None,
        ),
        problems=problems,
    )


def _whole(text: str, *, name: str, low: int, high: int, problems: dict[str, str]) -> int | None:
    """Read a whole number between bounds; empty is none."""
    found = _number(text, name=name, low=low, high=high, problems=problems)
    if found is not None and found != int(found):
        problems[name] = "A whole number is expected, or nothing."
    return None if found is None else int(found)


def _number(text: str, *, name: str, low: float, high: float, problems: dict[str, str]) -> float | None:
    """Read a number between bounds; empty is none."""
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        problems[name] = f"A number from {low:g} to {high:g} is expected, or nothing."
        return None
    return value
