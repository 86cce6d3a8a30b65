"""The runs list: filters, tabs, paging, polling, and how many queries it takes."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests import example_runs, factories
from workflows.models import Run, StepRun
from workflows.queries import run_list

FRAGMENT = {"HX-Request": "true"}
# Session and person (2), change mark, page, titles (2), results (2), progress, current steps, tab counts,
# attention, sums, histogram, saved views, names of workflows and environments, numbers of releases.
QUERIES = 19


def _titles(answer: object) -> list[str]:
    return re.findall(r'class="col-run is-title"><div><a [^>]*>([^<]*)</a>', answer.content.decode())  # type: ignore[attr-defined]


def test_a_row_says_what_failed_where_and_how_often(operator: Client) -> None:
    example_runs.failed_run(asked={"question": "What does the walrus operator do?"})
    page = operator.get("/runs/").content.decode()
    row = page[page.index("<tbody>") :]
    for text in ("Failed", "What does the walrus operator do?", "route/notify", "503: upstream", "3/5"):
        assert text in row


def test_a_run_that_nobody_can_judge_is_shown_as_such_and_needs_attention(operator: Client) -> None:
    example_runs.unknown_run(title="Sent or not?")
    example_runs.succeeded_run(title="Fine")
    answer = operator.get("/runs/?state=attention")
    assert _titles(answer) == ["Sent or not?"]
    assert b"Outcome unknown" in answer.content
    assert b"May have taken effect; settle it: The worker was lost" in answer.content


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=failed", ["Bad"]),
        ("state=active", ["Going"]),
        ("q=BAD", ["Bad"]),
        ("q=upstream", ["Bad"]),
        ("q=route%2Fnotify", ["Bad"]),
        ("q=answer&state=active", ["Going"]),
        ("q=r_0000000000001", ["Good"]),
        ("workflow=question-digest", []),
        ("range=1h", ["Good", "Bad", "Going"]),
        ("range=nonsense", ["Good", "Bad", "Going"]),
        ("q=%00&workflow=%00", ["Good", "Bad", "Going"]),
        ("state=failed,active", ["Bad", "Going"]),
        ("q=state:failed", ["Bad"]),
        ("q=error:http_status", ["Bad"]),
        ("error=timeout", []),
        ("q=cost>0.0001", ["Good", "Bad"]),
        ("cost_min=1", []),
        ("tokens_max=936", ["Good", "Bad"]),
        ("q=duration>10s", ["Bad"]),
        ("release=1", ["Good", "Bad", "Going"]),
        ("release=2", []),
        ("environment=production", ["Good", "Bad", "Going"]),
        ("q=tag:vip", ["Good"]),
        ("tag=vip&tag=eu", ["Good"]),
        ("tag=vip&q=tag:us", []),
        ("session=customer-42", ["Bad"]),
        ("q=customer-42", ["Bad"]),
        ("q=until:2026-01-01", []),
        ("q=%22Go%22", ["Good", "Going"]),
        ("q=state:nonsense", []),
        ("state=nonsense", []),
    ],
)
def test_filters_narrow_the_list(operator: Client, query: str, found: list[str]) -> None:
    example_runs.succeeded_run(title="Good", number=1, ago_s=10, tags=["vip", "eu"])
    example_runs.failed_run(title="Bad", number=2, ago_s=20, session="customer-42")
    example_runs.running_run(title="Going", number=3, ago_s=30)
    assert _titles(operator.get(f"/runs/?{query}")) == found


def test_paging_shows_every_run_once_in_order_and_leads_back(operator: Client) -> None:
    factories.many_runs(120)
    # Three were created in the same instant: the id decides.
    Run.objects.filter(title__in=["Question 00049", "Question 00050", "Question 00051"]).update(
        created_at=Run.objects.get(title="Question 00050").created_at
    )
    seen, address = [], "/runs/"
    for _ in range(3):
        answer = operator.get(address)
        seen.append(_titles(answer))
        links = dict(re.findall(r'href="([^"]*)" rel="(next|prev)"', answer.content.decode()))
        older = next((href for href, rel in links.items() if rel == "next"), "")
        address = "/runs/" + older.replace("&amp;", "&")
    assert [len(titles) for titles in seen] == [50, 50, 20]
    assert len({title for titles in seen for title in titles}) == 120
    newer = next(href for href, rel in links.items() if rel == "prev")
    assert _titles(operator.get("/runs/" + newer.replace("&amp;", "&"))) == seen[1]


@pytest.mark.parametrize("cursor", ["x", "%00", "AAAA", "MjAyNi0wMS0wMVQwMDowMDowMCBy", "a" * 5000])
def test_a_made_up_cursor_leads_to_the_newest_page(operator: Client, cursor: str) -> None:
    answer = operator.get(f"/runs/?after={cursor}&state=failed")
    assert answer.status_code == 302
    assert answer["Location"] == "/runs/?state=failed"


def test_a_poll_is_answered_with_304_until_something_happens(operator: Client) -> None:
    made = example_runs.running_run()
    first = operator.get("/runs/")
    mark = {"HX-PTag": first["HX-PTag"], **FRAGMENT}
    again = operator.get("/runs/", headers=mark)
    assert (again.status_code, again.content) == (304, b"")
    assert again["Cache-Control"] == "no-store"
    made.journal("step.succeeded", 5)
    assert operator.get("/runs/", headers=mark).status_code == 200


def test_a_fragment_is_the_part_that_polls_and_is_not_kept(operator: Client) -> None:
    example_runs.succeeded_run()
    answer = operator.get("/runs/", headers=FRAGMENT)
    assert answer.content.strip().startswith(b'<section id="runs"')
    assert b"<html" not in answer.content
    assert answer["Cache-Control"] == "no-store"
    assert "HX-Request" in answer["Vary"]


def test_the_first_page_tells_how_to_start(operator: Client) -> None:
    assert b"No runs yet" in operator.get("/runs/").content


def test_a_filter_that_removes_all_says_so(operator: Client) -> None:
    example_runs.succeeded_run(ago_s=90_000)
    page = operator.get("/runs/?q=zzz").content
    assert b"No runs match these filters" in page
    assert b"Look at any time" in page


def test_text_from_outside_is_shown_as_text(operator: Client) -> None:
    factories.run("failed", title="<script>alert(1)</script>", error={"class": "x", "message": "\\u0000 <b>"})
    page = operator.get("/runs/").content
    assert b"<script>alert" not in page
    assert b"&lt;b&gt;" in page


def test_the_list_takes_the_same_queries_whatever_it_shows(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(12):
        example_runs.succeeded_run(number=number)
        example_runs.failed_run(number=100 + number)
    with django_assert_max_num_queries(QUERIES):
        operator.get("/runs/")


def test_a_poll_without_news_takes_three_queries(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    example_runs.succeeded_run()
    mark = operator.get("/runs/")["HX-PTag"]
    with django_assert_max_num_queries(3):
        operator.get("/runs/", headers={"HX-PTag": mark, **FRAGMENT})


def test_a_very_long_list_counts_up_to_ten_thousand(operator: Client) -> None:
    factories.many_runs(10_200, states=("succeeded", "succeeded", "failed"))
    page = operator.get("/runs/").content.decode()
    assert "10,000" in page
    assert "10,000+" in page


def test_a_viewer_sees_why_there_is_no_start(viewer: Client) -> None:
    page = viewer.get("/runs/").content.decode()
    assert "Starting a run needs the role operator" in page


def test_a_run_between_two_tries_is_shown_as_retrying(operator: Client) -> None:
    made = example_runs.running_run()
    StepRun.objects.filter(run=made.run, path="answer").update(
        state="waiting", reason="retry", lease=None, lease_until=None
    )
    assert b"Retrying" in operator.get("/runs/").content


def test_neighbours_are_the_next_newer_and_older_that_match(db: None) -> None:
    newest, bad, middle, oldest = (
        factories.run(state, number=number, ago_s=ago_s).run
        for state, number, ago_s in [
            ("succeeded", 4, 10),
            ("failed", 3, 20),
            ("succeeded", 2, 30),
            ("succeeded", 1, 40),
        ]
    )
    succeeded = run_list.RunFilter(states=("succeeded",))
    assert run_list.neighbours(succeeded, middle) == (newest.id, oldest.id)
    assert run_list.neighbours(succeeded, bad) == (newest.id, middle.id)
    assert run_list.neighbours(succeeded, newest) == (None, middle.id)
    assert run_list.neighbours(succeeded, oldest) == (middle.id, None)


def test_neighbours_of_one_instant_are_told_by_their_ids(db: None) -> None:
    rows = [factories.run(number=number).run for number in (1, 2, 3)]
    Run.objects.update(created_at=rows[0].created_at)
    rows[1].refresh_from_db()
    assert run_list.neighbours(run_list.RunFilter(), rows[1]) == (rows[2].id, rows[0].id)


def test_the_totals_say_so_where_no_cost_is_known(operator: Client) -> None:
    factories.run("queued", title="Waits")
    assert "cost not known yet" in operator.get("/runs/").content.decode()
    assert "nothing spent" in operator.get("/runs/?q=zzzz").content.decode()
    factories.run("succeeded", cost="0.0042")
    assert "<b>$0.0042</b> spent" in operator.get("/runs/").content.decode()
