"""When a schedule fires: on days on which clocks change, and for what is no cron expression."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows import catching_up
from workflows.spec import cron

UTC = UTC
BERLIN = "Europe/Berlin"
SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)  # the day before 02:00 becomes 03:00
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)  # the day before 03:00 becomes 02:00


def fires(expression: str, *, after: datetime, count: int, zone: str = BERLIN) -> list[str]:
    return [f"{moment:%d %H:%M}" for moment in islice(cron.following(after, expression, zone), count)]


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # A local time that is skipped: once, at the first moment after the gap, in UTC 01:00.
        ("30 2 * * *", SPRING, ["29 01:00", "30 00:30", "31 00:30"]),
        ("0,30 2 * * *", SPRING, ["29 01:00", "30 00:00"]),
        ("*/10 2 * * *", SPRING, ["29 01:00", "30 00:00"]),
        ("0 2,3 * * *", SPRING, ["29 01:00", "30 00:00", "30 01:00"]),
        ("0 6 * * 1-5", SPRING, ["30 04:00", "31 04:00"]),
        # One that comes twice: once, the first time.
        ("30 2 * * *", AUTUMN, ["25 00:30", "26 01:30"]),
        ("0 */2 * * *", AUTUMN + timedelta(hours=9), ["24 22:00", "25 00:00", "25 03:00"]),
        ("30 2 * * *", datetime(2026, 10, 25, 0, 45, tzinfo=UTC), ["26 01:30"]),
        # Every hour, every ten minutes: by elapsed time, whatever the clock on the wall does.
        ("0 * * * *", datetime(2026, 3, 28, 23, 30, tzinfo=UTC), ["29 00:00", "29 01:00", "29 02:00"]),
        ("*/30 * * * *", datetime(2026, 10, 24, 23, 45, tzinfo=UTC), ["25 00:00", "25 00:30", "25 01:00"]),
    ],
)
def test_clock_changes(expression: str, after: datetime, expected: list[str]) -> None:
    assert fires(expression, after=after, count=len(expected)) == expected


@given(
    expression=st.sampled_from(
        [
            "*/7 * * * *",
            "0 * * * *",
            "30 2 * * *",
            "0 0 * * *",
            "15 */3 1,15 * *",
            "0 0 29 2 *",
            "59 23 * * FRI",
        ]
    ),
    zone=st.sampled_from(
        [BERLIN, "UTC", "Africa/Cairo", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Beirut"]
    ),
    after=st.timedeltas(timedelta(days=-4000), timedelta(days=1500)).map(lambda away: SPRING + away),
)
def test_fire_times_rise_and_stand_on_the_clock_of_their_zone(
    expression: str, zone: str, after: datetime
) -> None:
    found = [after, *islice(cron.following(after, expression, zone), 12)]
    assert all(earlier < later for earlier, later in pairwise(found))
    again = cron.after(found[5], expression, zone)
    assert again == found[6], "where one starts to count does not matter"
    assert all(moment.astimezone(ZoneInfo(zone)).second == 0 for moment in found[1:])


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("0 6 * *", "expected five fields"),
        ("0 6 * * * *", "expected five fields"),
        ("@daily", "expected five fields"),
        ("60 * * * *", "the field minute, '60', is none of 0 to 59"),
        ("0 6 * * mo", "the field day-of-week, 'mo', is none of 0 to 7 or SUN to SAT"),
        ("0 0 30 2 *", "a day that never comes"),
    ],
)
def test_what_is_no_cron_expression_is_told_with_what_is_expected(expression: str, says: str) -> None:
    assert says in (cron.problem(expression) or "")


def test_an_expression_is_told_in_words() -> None:
    assert cron.problem("0 6 * * 1-5") is None
    assert cron.explained("0 6 * * 1-5") == "At 06:00 on Monday through Friday"


@given(
    behind=st.timedeltas(timedelta(0), timedelta(days=3)),
    catch_up=st.timedeltas(timedelta(0), timedelta(days=2)),
    expression=st.sampled_from(["*/20 * * * *", "0 6 * * *", "30 2 * * *"]),
)
def test_every_fire_time_of_an_outage_is_due_or_missed(
    behind: timedelta, catch_up: timedelta, expression: str
) -> None:
    first = cron.after(SPRING, expression, BERLIN)
    now = first + behind
    split = catching_up.split(first, expression, BERLIN, now=now, catch_up=catch_up)
    missed = split.missed.count if split.missed else 0
    everything = [first]
    for moment in cron.following(first, expression, BERLIN):
        if moment > now:
            assert moment == split.next
            break
        everything.append(moment)
    assert missed + len(split.due) == len(everything)
    assert list(split.due) == everything[missed:]
    assert all(now - moment <= max(catch_up, catching_up.LEAST) for moment in split.due)


def test_a_long_outage_of_a_frequent_schedule_is_counted_up_to_a_bound() -> None:
    now = SPRING + timedelta(days=300)
    split = catching_up.split(SPRING, "* * * * *", "UTC", now=now, catch_up=timedelta(hours=3))
    assert split.missed is not None
    assert len(split.due) == catching_up.MOST
    assert split.missed.count == catching_up.MAX_COUNTED + 181 - catching_up.MOST
    assert split.next == now + timedelta(minutes=1)
