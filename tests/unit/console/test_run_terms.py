"""The text of the runs filter: what it means, what it refuses, and that nothing makes it fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st

from console.forms import moments, run_chips, run_filter, run_terms
from workflows.queries.run_matching import Bound

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ALL = (
    "state:failed workflow:docs-assistant tag:vip tag:eu cost>0.1 tokens>=5k duration<2m error:timeout taint:7 "
    'session:"customer 42" release:v3 env:production since:2026-11-20 until:2h "free text" two words'
)


def test_every_term_is_read() -> None:
    found = run_filter.parse(QueryDict(mutable=False, query_string=_query(ALL)))
    chosen = found.filter(NOW)
    assert not found.problems
    assert (chosen.states, chosen.workflow, chosen.tags) == (("failed",), "docs-assistant", ("vip", "eu"))
    assert (chosen.error, chosen.session, chosen.release) == ("timeout", "customer 42", 3)
    assert (chosen.environment, chosen.taint) == ("production", "7")
    assert (chosen.text, chosen.phrases) == ("two words", ("free text",))
    assert [(b.of, b.comparison, str(b.amount)) for b in chosen.bounds] == [
        ("cost", "gt", "0.1"),
        ("tokens", "gte", "5000"),
        ("duration", "lt", "120"),
    ]
    assert chosen.since == datetime(2026, 11, 20, tzinfo=UTC)
    assert chosen.until == NOW - timedelta(hours=2)


def _query(text: str) -> str:
    made = QueryDict(mutable=True)
    made["q"] = text
    return made.urlencode()


def _parse(text: str) -> run_filter.RunQuery:
    return run_filter.parse(QueryDict(_query(text)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("state:fai", "“fai” is no state: there are queued, running"),
        ("stat:failed", "There is no filter “stat”: did you mean “state”?"),
        ("state:", "“state” needs a value: state:failed"),
        ("cost:5", "“cost” needs a comparison: cost>0.10"),
        ("cost>lots", "“lots” is no amount of US dollars"),
        ("tokens>5x", "“5x” is no number of tokens"),
        ("cost>" + "9" * 15, "more than any run has"),
        ("tag>5", "“tag” cannot be compared with >"),
        ("release:three", "“three” is no number of a release"),
        ("taint:all", "“all” is no number of a quarantine: write taint:7 or taint:any"),
        ("taint:1234567890", "is no number of a quarantine"),
        ("release:0", "is no number of a release"),
        ("release:99999999999999999999", "is no number of a release"),
        ("since:soon", "“soon” is no time"),
        ("since:9999-12-31", "is no time"),
        ("since:999999w", "is no time"),
        ("workflow:a workflow:b", "“workflow” is asked for twice, as a and as b"),
        ("since:2026-11-20 until:2026-11-10", "ends before it begins"),
    ],
)
def test_a_wrong_term_is_told_and_the_filter_matches_nothing(text: str, told: str) -> None:
    found = _parse(text)
    assert len(found.problems) == 1
    assert told in found.problems[0]
    assert found.filter(NOW).nothing


@pytest.mark.parametrize(
    "text", ["payments-gw: 503", "https://shop.internal/x", "12:30", 'gateway: "a b"', "a > b", "x:/y", "="]
)
def test_what_only_looks_like_a_term_is_text(text: str) -> None:
    assert not _parse(text).problems
    assert not list(_parse(text).conditions)


def test_an_open_quote_goes_to_the_end() -> None:
    assert _parse('session:"customer 42').filter(NOW).session == "customer 42"
    assert _parse('"free te').filter(NOW).phrases == ("free te",)


def test_several_states_are_alternatives() -> None:
    chosen = _parse("state:failed,cancelled state:stuck").filter(NOW)
    assert chosen.states == ("cancelled", "failed", "stuck")
    assert _parse("state:active").filter(NOW).states == ("paused", "queued", "running", "waiting")
    assert _parse("state:attention").filter(NOW).attention


def test_text_and_controls_narrow_together_and_a_clash_is_told() -> None:
    both = run_filter.parse(QueryDict("q=tag:vip&tag=eu&cost_min=0.5&workflow=a"))
    chosen = both.filter(NOW)
    assert (set(chosen.tags), chosen.workflow) == ({"vip", "eu"}, "a")
    assert chosen.bounds[0].comparison == "gte"
    clash = run_filter.parse(QueryDict("q=workflow:b&workflow=a"))
    assert "asked for twice" in clash.problems[0]


def test_typed_times_win_over_the_preset_range() -> None:
    chosen = run_filter.parse(QueryDict("q=since:7d&range=1h")).filter(NOW)
    assert chosen.since == NOW - timedelta(days=7)
    zoomed = run_filter.parse(QueryDict("from=2026-11-24T10:00Z&to=2026-11-24T11:00Z&range=1h"))
    assert zoomed.filter(NOW).since == datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert zoomed.filter(NOW).until == datetime(2026, 11, 24, 11, tzinfo=UTC)


def test_a_clock_time_is_read_in_the_readers_zone_and_written_for_everybody() -> None:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        query = run_filter.parse(QueryDict("from=2026-11-24T10:00"))
        assert query.address() == "?from=2026-11-24T09:00Z"
        assert _parse("since:2026-11-24").filter(NOW).since == datetime(2026, 11, 23, 23, tzinfo=UTC)


def test_a_day_as_an_end_is_the_whole_day() -> None:
    found = moments.read("2026-11-20")
    assert found is not None
    assert found.resolve(NOW, end=True) == datetime(2026, 11, 21, tzinfo=UTC)
    assert moments.read("yesterday").resolve(NOW) == datetime(2026, 11, 23, tzinfo=UTC)  # type: ignore[union-attr]


def test_each_chip_leads_to_the_list_without_its_part() -> None:
    query = run_filter.parse(QueryDict("q=tag:vip+foo+cost>1&error=timeout&tag=eu&state=failed"))
    ways = {(part.label, part.value): part for part in run_chips.parts(query)}
    assert ways["tag", "vip"].address == "?q=foo+cost%3E1&state=failed&error=timeout&tag=eu"
    assert ways["tag", "eu"].address == "?q=tag:vip+foo+cost%3E1&state=failed&error=timeout"
    assert ways["error", "timeout"].address == "?q=tag:vip+foo+cost%3E1&state=failed&tag=eu"
    assert ways["text", "foo"].address == "?q=tag:vip+cost%3E1&state=failed&error=timeout&tag=eu"
    assert ways["time", "last 24 h"].address.endswith("&range=all&tag=eu")
    assert [part.label for part in ways.values() if part.chip] == ["tag", "cost > ", "error", "tag"]


words = st.text(alphabet=st.characters(codec="utf-8"), max_size=40)
terms = st.builds(
    "".join,
    st.tuples(
        st.sampled_from([*run_terms.KEYS, "x", "STATE"]),
        st.sampled_from([":", "=", "<", ">", ">=", "<="]),
        words,
    ),
)


@given(st.lists(terms | words | st.sampled_from(ALL.split()), max_size=6).map(" ".join))
@example('"')
@example("state:\0")
@example("cost>٣")
@example("release:²")
@example("since:20261120T")
@example("view:1")
def test_no_text_makes_it_fail_and_the_address_says_the_same_again(text: str) -> None:
    query = _parse(text)
    chosen = query.filter(NOW)
    assert chosen.nothing is bool(query.problems)
    again = run_filter.parse(QueryDict(query.address()[1:]))
    assert again.filter(NOW) == chosen
    for part in run_chips.parts(query):
        run_filter.parse(QueryDict(part.address[1:])).filter(NOW)


@given(
    st.sampled_from(["cost", "tokens", "duration"]),
    st.sampled_from([">", ">=", "<", "<="]),
    st.decimals(min_value=0, max_value=10**9, places=4, allow_nan=False),
)
def test_amounts_are_read_exactly(key: str, sign: str, amount: object) -> None:
    chosen = _parse(f"{key}{sign}{amount:f}").filter(NOW)
    assert chosen.bounds == (
        Bound(of=key, comparison=run_terms._COMPARISONS[sign], amount=amount),  # type: ignore[arg-type]
    )


@given(words, words)
def test_any_parameters_are_read_or_told(name_value: str, other: str) -> None:
    asked = QueryDict(mutable=True)
    for name in ("q", "state", "from", "to", "cost_min", "tag", "range", "view", "release", "after"):
        asked[name] = name_value if name in ("q", "from", "tag", "view", "after") else other
    query = run_filter.parse(asked)
    query.filter(NOW)
    assert run_filter.parse(QueryDict(query.address()[1:])).filter(NOW) == query.filter(NOW)
