"""The parts of a filter, each with the address of the list without it: for chips, and to say which removes most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils import timezone

from console import formats
from console.forms import moments
from console.forms.run_filter import RunQuery
from console.forms.run_terms import SIGNS, Term


@dataclass(frozen=True)
class Part:
    """One thing that narrows the list: what it is called, its value, and the list without it."""

    label: str
    value: str
    address: str
    chip: bool = True  # else it shows elsewhere: as the text, a tab, or the range


def parts(query: RunQuery) -> list[Part]:
    """List what narrows the list, in the order of the address."""
    return [*_of_text(query), *_of_controls(query), *_of_range(query)]


def _of_text(query: RunQuery) -> Iterator[Part]:
    if query.terms.text:
        bare = query.text
        places = [term.place for term in (*query.terms.conditions, *query.terms.phrases) if term.place]
        kept = " ".join(bare[start:end] for start, end in sorted(places))
        yield Part("text", query.terms.text, query.address(q=kept), chip=False)
    for term in (*query.terms.phrases, *query.terms.conditions):
        if term.place:
            yield _part(term, query.without_text(term.place))


def _of_controls(query: RunQuery) -> Iterator[Part]:
    for name, term in query.controls:
        if name == "tag":
            yield _part(term, query.without_tag(term.value))
        else:
            tab = name == "state" and query.view is not None
            yield _part(term, query.address(**{name: ""}), chip=not tab)


def _of_range(query: RunQuery) -> Iterator[Part]:
    if query.range.length:
        yield Part("time", query.range.label.lower(), query.address(range="all"), chip=False)


def _part(term: Term, address: str, *, chip: bool = True) -> Part:
    sign = f" {SIGNS[term.comparison]} " if term.comparison else ""
    return Part(term.key + sign, _shown(term), address, chip)


def _shown(term: Term) -> str:
    found = moments.read(term.value) if term.key in ("since", "until") else None
    if found is None or found.at is None:
        return term.value
    when = timezone.localtime(found.resolve(timezone.localtime()))
    return formats.instant(when) if when.second else f"{when:%b} {when.day}, {when:%H:%M}"
