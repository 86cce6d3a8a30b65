"""The runs list while somebody reads it, what is stuck, why nothing is shown, and what indexes serve its filters."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from console.forms import run_filter
from tests import example_runs, factories
from workflows.models import Run, StepRun
from workflows.queries import run_list
from workflows.queries.run_list import RunFilter

pytestmark = pytest.mark.django_db
FRAGMENT = {"HX-Request": "true"}


def _titles(answer: object) -> list[str]:
    return re.findall(r'class="col-run is-title"><div><a [^>]*>([^<]*)</a>', answer.content.decode())  # type: ignore[attr-defined]


# --- new runs


def test_a_reader_keeps_the_rows_and_is_told_of_new_ones(operator: Client) -> None:
    for number in (1, 2):
        factories.run(title=f"Old {number}", ago_s=60 * number)
    first = operator.get("/runs/")
    seen = re.findall(r'data-seen="([^"]+)"', first.content.decode())[0]
    factories.run(title="New", ago_s=1)
    held = operator.get(f"/runs/?seen={seen}", headers={**FRAGMENT, "HX-PTag": first["HX-PTag"]})
    assert _titles(held) == ["Old 1", "Old 2"]
    assert "1 new run<" in held.content.decode()
    assert f'data-seen="{seen}"' in held.content.decode()
    assert 'hx-get="/runs/"' in held.content.decode()
    assert _titles(operator.get("/runs/", headers=FRAGMENT)) == ["New", "Old 1", "Old 2"]


@pytest.mark.parametrize("seen", ["x", "%00", "AAAA"])
def test_a_made_up_place_leads_to_the_newest_page(operator: Client, seen: str) -> None:
    assert operator.get(f"/runs/?seen={seen}").status_code == 302


def test_a_filter_by_script_tells_its_address_without_what_is_empty(operator: Client) -> None:
    answer = operator.get("/runs/?q=&workflow=&state=failed&range=24h&tag=", headers=FRAGMENT)
    assert answer["HX-Push-Url"] == "/runs/?state=failed"
    plain = operator.get("/runs/?q=&range=24h", headers=FRAGMENT)
    assert plain["HX-Push-Url"] == "/runs/"


def test_a_wrong_filter_by_script_changes_the_message_only(operator: Client) -> None:
    answer = operator.get("/runs/?q=state:fai", headers=FRAGMENT)
    assert (answer["HX-Retarget"], answer["HX-Push-Url"]) == ("#filter-problem", "false")
    assert b"<table" not in answer.content
    page = operator.get("/runs/?q=state:%3Cb%3E").content.decode()
    assert "“&lt;b&gt;” is no state" in page
    assert 'value="state:&lt;b&gt;"' in page


# --- stuck


@pytest.mark.parametrize(
    ("state", "values", "stuck"),
    [
        ("ready", {"ready_at": timedelta(minutes=11)}, True),
        ("ready", {"ready_at": timedelta(minutes=9)}, False),
        ("waiting", {"wake_at": timedelta(minutes=3), "reason": "retry"}, True),
        ("waiting", {"wake_at": timedelta(minutes=-3), "reason": "retry"}, False),
    ],
)
def test_a_run_in_which_nobody_does_what_is_due_is_stuck(
    operator: Client, state: str, values: dict[str, object], stuck: bool
) -> None:
    made = example_runs.running_run(title="Late?")
    now = timezone.now()
    due = {key: now - value if isinstance(value, timedelta) else value for key, value in values.items()}
    StepRun.objects.filter(run=made.run, path="answer").update(
        **{"state": state, "reason": "", "lease": None, "lease_until": None, **due}
    )
    assert (b"<span>Stuck</span>" in operator.get("/runs/").content) is stuck
    for address in ("/runs/?state=attention", "/runs/?q=state:stuck"):
        assert _titles(operator.get(address)) == (["Late?"] if stuck else [])
    assert f"Needs attention <span>{int(stuck)}<" in operator.get("/runs/").content.decode()


def test_an_ended_or_paused_run_is_not_stuck(operator: Client) -> None:
    made = example_runs.running_run()
    StepRun.objects.filter(run=made.run, path="answer").update(
        lease_until=timezone.now() - timedelta(hours=1)
    )
    Run.objects.update(state="paused")
    assert _titles(operator.get("/runs/?state=stuck")) == []
    assert _titles(operator.get("/runs/?state=attention")) == []


# --- nothing to show


def test_an_empty_list_tells_which_part_of_the_filter_removes_most(operator: Client) -> None:
    factories.many_runs(12, states=("failed", "succeeded", "succeeded"))
    page = operator.get("/runs/?q=error:timeout+zzz&state=failed").content.decode()
    assert re.findall(r'class="link" href="([^"]+)">Without ([^<]+)</a> ([^<]+)', page)[0] == (
        "?q=error:timeout&amp;state=failed",
        "text zzz",
        "4 runs",
    )


# --- columns


def test_columns_are_kept_in_the_browser(operator: Client) -> None:
    example_runs.succeeded_run(session="customer-42")
    operator.post("/runs/columns/", {"column": ["state", "session", "nonsense"], "density": "compact"})
    page = operator.get("/runs/").content.decode()
    assert "customer-42" in page
    assert "col-cost" not in page
    assert 'data-density="compact"' in page
    operator.cookies["columns"] = "..%00.x"
    assert operator.get("/runs/").status_code == 200


# --- figures over the list


def test_a_bar_leads_to_its_stretch_of_time(operator: Client) -> None:
    factories.many_runs(96, over_s=86_000)
    page = operator.get("/runs/?state=succeeded").content.decode()
    address = re.findall(r'<a href="([^"]+)" aria-label="[^"]+: 1 run, 0 failed" tabindex', page)[20]
    assert 1 <= len(_titles(operator.get("/runs/" + address.replace("&amp;", "&")))) <= 2


# --- indexes

FORMS = {
    "": "run_newest",
    "state=failed": "run_by_state",
    "workflow=docs-assistant&range=all": "run_newest run_by_workflow",
    "q=tag:vip&range=all": "run_by_tag",
    "session=customer-42&range=all": "run_by_session",
    "error=quota_exhausted&range=all": "run_by_error",
    "release=7&range=all": "run_by_release",
    "from=2026-01-01&to=2026-01-02": "run_newest run_open",
}


@pytest.fixture
def many(db: None) -> None:
    factories.many_runs(20_000, states=("succeeded",) * 9 + ("failed",), over_s=30 * 86_400)
    other = factories.release(factories.ASSISTANT, number=7)
    rare = Run.objects.filter(title__in=["Question 00100", "Question 15000"])
    rare.update(
        tags=["vip"], session="customer-42", error={"class": "quota_exhausted"}, release=other, state="failed"
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflows_run")


def test_an_index_serves_each_main_form_of_the_filter(many: None) -> None:
    for form, indexes in FORMS.items():
        chosen = run_filter.parse(QueryDict(form)).filter(timezone.now())
        rows = run_list.matching(chosen).order_by("-created_at", "-id")[:50]
        plan = json.dumps(json.loads(rows.explain(format="json")))
        used = set(re.findall(r'"Index Name": "(\w+)"', plan))
        assert used & set(indexes.split()), f"{form}: {plan}"


def test_neighbours_are_found_by_an_index(many: None) -> None:
    run = Run.objects.get(title="Question 10000")
    assert run_list.neighbours(RunFilter(states=("failed",)), run) != (None, None)
