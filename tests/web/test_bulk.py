"""The pages of bulk actions: counts, preview, start, progress, and what they take to be shown."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests import bulk, engine, example_bulk, example_runs, factories
from workflows.failures import grouping
from workflows.models import BulkAction, BulkItem, Run

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "/runs/bulk/new/"
FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def several(operator: Client) -> Client:
    """Runs in every state that a preview knows."""
    example_runs.succeeded_run(number=1)
    example_runs.failed_run(number=2)
    example_runs.running_run(number=3)
    example_runs.unknown_run(number=4)
    cancelled = factories.run("cancelled", number=5)
    cancelled.step("answer", "prompt", "cancelled")
    factories.run("failed", number=6, error={"class": "expression", "message": "no such key", "step": ""})
    factories.run("failed", number=7, deadline_at=timezone.now())
    return operator


def _text(answer: object) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())  # type: ignore[attr-defined]


def examples() -> None:
    factories.many_runs(120, states=("succeeded", "failed"))
    example_bulk.fill()


def _start(client: Client, query: str, **fields: str) -> object:
    return client.post(
        f"{NEW}?{query}", {"reason": "why", "rate": "", "key": "k1", "expected": "9", **fields}
    )


def test_the_preview_says_what_applies_and_why_the_rest_does_not(several: Client) -> None:
    text = _text(several.get(f"{NEW}?bulk=retry&matching=1&range=all"))
    for told in (
        "1 of 7 runs will be retried",
        "1 succeeded: nothing to retry",
        "1 is still going on: nothing to retry yet",
        "1 has a step whose outcome is unknown: settle it first: r_0000000000004",
        "1 was cancelled on purpose. Retry them too",
        "1 has no failed step: its output expression failed",
        "1 is past its deadline",
        "route/notify",
        "Retry 1 run",
    ):
        assert told in text


def test_a_selection_without_runs_says_so_and_offers_nothing(several: Client) -> None:
    page = several.get(f"{NEW}?bulk=retry&matching=1&range=all&q=nosuchthing").content.decode()
    assert "No run matches this selection." in page
    assert "<button" not in page.split("<main")[1].split("</main>")[0].split("</header>")[1]


def test_a_preview_of_cancel(several: Client) -> None:
    text = _text(several.get(f"{NEW}?bulk=cancel&matching=1&range=all"))
    assert "2 of 7 runs will be cancelled" in text
    assert "5 have ended: nothing to cancel" in text
    assert "By error" not in text


def test_cancelled_runs_are_taken_in_where_somebody_says_so(several: Client) -> None:
    text = _text(several.get(f"{NEW}?bulk=retry&matching=1&range=all&cancelled=1"))
    assert "2 of 7 runs will be retried" in text
    assert "Leave cancelled runs out" in text
    only = several.get(f"{NEW}?bulk=retry&pick=r_0000000000005")
    assert only.status_code == 302
    assert "cancelled=1" in only["Location"]


def test_the_counts_of_a_filter_are_those_of_the_preview(several: Client) -> None:
    told = several.get("/runs/bulk/counts/?range=all").json()
    assert (told["matched"], told["retry"], told["cancel"]) == (7, 1, 2)
    assert told["frozen"]
    assert several.get("/runs/bulk/counts/?state=cancelled&range=all").json()["retry"] == 1


def test_a_start_leads_to_its_progress_with_an_undo(several: Client) -> None:
    frozen = quote(timezone.now().isoformat())
    answer = _start(
        several,
        f"bulk=retry&matching=1&range=all&frozen={frozen}",
        rate="2,5",
        at_once="4",
        canary="3",
        stops="1",
        share="20",
        deployed="1",
    )
    action = BulkAction.objects.get()
    assert answer.status_code == 302  # type: ignore[attr-defined]
    assert answer["Location"] == f"/runs/bulk/{action.pk}/"  # type: ignore[index]
    assert action.options == {
        "rate_per_s": 2.5,
        "at_once": 4,
        "canary": 3,
        "stop_above": 0.2,
        "with_cancelled": False,
        "above": False,
        "deployed": True,
        "change": None,
    }
    assert (action.state, action.total, action.created_by) == ("waiting", 1, "otto")
    assert (action.starts_at - action.created_at).total_seconds() == 5
    page = several.get(answer["Location"]).content.decode()  # type: ignore[index]
    assert "1 run will be retried in 5 seconds." in page
    assert f'action="/runs/bulk/{action.pk}/stop/"' in page
    again = _start(
        several,
        f"bulk=retry&matching=1&range=all&frozen={frozen}",
        rate="2,5",
        at_once="4",
        canary="3",
        stops="1",
        share="20",
        deployed="1",
    )
    assert again["Location"] == answer["Location"]  # type: ignore[index]
    assert BulkAction.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "told", "status"),
    [
        ({"reason": " "}, "Say why: it goes to the audit log", 422),
        ({"rate": "fast"}, "A number from 0.1 to 1000 is expected", 422),
        ({"stops": "1", "share": "120"}, "A number from 0 to 99 is expected", 422),
        ({"expected": "0"}, "more than the 0 that were shown", 409),
    ],
)
def test_a_form_that_is_wrong_keeps_what_was_typed(
    several: Client, fields: dict[str, str], told: str, status: int
) -> None:
    answer = _start(several, "bulk=retry&pick=r_0000000000002", **{"reason": "typed text", **fields})
    assert answer.status_code == status  # type: ignore[attr-defined]
    assert told in _text(answer)
    kept = {"reason": "typed text", **fields}
    assert f'value="{kept["reason"].strip()}"' in answer.content.decode()  # type: ignore[attr-defined]
    assert f'value="{kept.get("rate", "")}"' in answer.content.decode()  # type: ignore[attr-defined]
    assert not BulkAction.objects.exists()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 404),
        ("bulk=delete&matching=1", 404),
        ("bulk=retry", 422),
        ("bulk=retry&pick=%00", 422),
        ("bulk=retry&of=b_none&part=pending", 200),
        ("bulk=retry&matching=1&frozen=2026-99-99T99:99:99Z", 200),
        ("bulk=retry&matching=1&frozen=9999-01-01T00:00:00Z", 200),
    ],
)
def test_addresses_that_make_no_sense(operator: Client, query: str, status: int) -> None:
    assert operator.get(f"{NEW}?{query}").status_code == status


def test_a_viewer_may_look_but_not_ask(viewer: Client) -> None:
    examples()
    answer = viewer.get(f"{NEW}?bulk=retry&matching=1")
    assert answer.status_code == 403
    assert b"Retrying a run needs the role operator" in answer.content
    page = viewer.get("/runs/bulk/b_0000000000001/")
    assert b"Retrying a run needs the role operator" in page.content
    assert viewer.post("/runs/bulk/b_0000000000001/stop/").status_code == 403
    assert BulkAction.objects.get(pk="b_0000000000001").state == "running"


def test_the_progress_page_names_each_run_and_what_became_of_it(operator: Client) -> None:
    failed = bulk.outage(2)
    action = bulk.start()
    Run.objects.filter(pk=failed[0].pk).update(state="succeeded")
    engine.drain()
    text = _text(operator.get(f"/runs/bulk/{action.pk}/"))
    assert "Refused 1" in text
    assert "only failed or cancelled runs can be retried" in text
    assert "Failed again 1" in text
    assert "Retry the 1 that failed again" in text
    only = _text(operator.get(f"/runs/bulk/{action.pk}/?outcome=failed"))
    assert "Outage question 1" in only
    assert "Outage question 0" not in only


def test_a_poll_is_answered_with_304_until_something_happens(operator: Client) -> None:
    bulk.outage(2)
    action = bulk.start()
    address = f"/runs/bulk/{action.pk}/"
    first = operator.get(address)
    mark = {"HX-PTag": first["HX-PTag"], **FRAGMENT}
    assert operator.get(address, headers=mark).status_code == 304
    engine.drain()
    changed = operator.get(address, headers=mark)
    assert changed.status_code == 200
    assert changed.content.strip().startswith(b'<div id="bulk"')
    assert b"hx-trigger" not in changed.content  # nothing can change any more


def test_runs_of_an_action_are_paged(operator: Client) -> None:
    examples()
    action = example_bulk.action("running", number=3, total=120, run_id=factories.run("running").run.pk)
    BulkItem.objects.bulk_create(BulkItem(bulk=action, run_id=f"r_{number}") for number in range(120))
    seen: list[str] = []
    address = f"/runs/bulk/{action.pk}/"
    for _ in range(3):
        page = operator.get(address).content.decode()
        seen += re.findall(r"<code>(r_\d+)</code>", page)
        following = re.search(r'href="([^"]*)" rel="next"', page)
        address = f"/runs/bulk/{action.pk}/" + (following[1].replace("&amp;", "&") if following else "")
    assert seen == [f"r_{number}" for number in range(120)]
    before = re.search(r'href="([^"]*)" rel="prev"', page)
    assert before is not None
    back = operator.get(f"/runs/bulk/{action.pk}/" + before[1].replace("&amp;", "&")).content.decode()
    assert re.findall(r"<code>(r_\d+)</code>", back) == seen[50:100]


def test_it_is_led_by_forms_without_script(operator: Client) -> None:
    bulk.outage(1)
    action = bulk.start()
    BulkAction.objects.update(state="running")
    for verb, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        answer = operator.post(f"/runs/bulk/{action.pk}/{verb}/", follow=True)
        assert answer.status_code == 200
        action.refresh_from_db()
        assert action.state == state
    late = operator.post(f"/runs/bulk/{action.pk}/pause/", follow=True)
    assert b"is stopped; only one that is running can be paused" in late.content
    assert operator.get(f"/runs/bulk/{action.pk}/pause/").status_code == 302


def test_an_interrupted_action_says_so(operator: Client) -> None:
    examples()
    Run.objects.filter(pk=BulkAction.objects.get(pk="b_0000000000001").run_id).update(
        state="cancelled", ended_at=timezone.now()
    )
    text = _text(operator.get("/runs/bulk/b_0000000000001/"))
    assert "Interrupted" in text
    assert "Resume goes on with the rest" in text


def test_the_list_of_actions(operator: Client) -> None:
    assert b"No bulk actions yet" in operator.get("/runs/bulk/").content
    examples()
    text = _text(operator.get("/runs/bulk/"))
    assert text.index("Retry 18 runs") > 0
    assert "Stopped" in text
    assert operator.get("/runs/bulk/?after=nonsense").status_code == 302
    assert operator.get("/runs/bulk/b_none/").status_code == 404


def test_pages_take_the_same_queries_whatever_they_show(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    bulk.many_failed(300)
    examples()
    grouping.settle()
    with django_assert_max_num_queries(4):  # session, person, actions, outcomes
        operator.get("/runs/bulk/")
    # Session and person, action, its run (2), places, items, runs, titles (2).
    with django_assert_max_num_queries(10):
        operator.get("/runs/bulk/b_0000000000002/")
    # For the session and the person; settled (2), grouped, cap, verdicts, examples, sample, workflows, groups, then
    # their words, the child runs that go on, the cost, the titles (2).
    with django_assert_max_num_queries(16):
        operator.get(f"{NEW}?bulk=retry&matching=1&range=all")


def test_text_from_outside_is_shown_as_text(operator: Client) -> None:
    made = factories.run(
        "failed",
        number=1,
        title="<script>alert(1)</script>",
        error={"class": "<b>", "message": "<i>\\u0000", "step": "<u>"},
    )
    made.step("answer", "prompt", "failed", tries=[(0, 1, "failed")])
    page = operator.get(f"{NEW}?bulk=retry&pick=r_0000000000001").content.decode()
    for text in ("<script>alert", "<b>&lt;b", "<i>", "<u>"):
        assert (text in page) is (text == "<b>&lt;b")


def test_addresses_and_forms_of_somebody_else_are_told(operator: Client) -> None:
    gone = operator.get(f"{NEW}?bulk=fork&matching=1&clean=99999")
    assert gone.status_code == 404
    assert "There is no quarantine 99999" in _text(gone)
    factories.run("failed", number=1).step("ask", "prompt", "failed")
    answer = _start(operator, "bulk=retry&pick=r_0000000000001", expected="9" * 5000)
    assert answer.status_code == 302  # type: ignore[attr-defined]


def test_a_recovery_of_child_failures_leads_to_the_runs_at_the_top(operator: Client) -> None:
    bulk.fail_below(2)
    asked = "/runs/bulk/new/?bulk=retry&matching=1&range=all&workflow=asking"
    moved = operator.get(asked)
    assert moved.status_code == 302
    assert "above=1" in moved["Location"]
    page = operator.get("/runs/bulk/new/" + moved["Location"]).content.decode()
    assert "<b>2</b> of 2 runs will be retried" in page
    mixed = operator.get(asked.replace("&workflow=asking", "")).content.decode()
    assert "4</b> are child runs of failed ones" in mixed
    assert "above=1" in mixed
