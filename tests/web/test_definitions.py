"""Pages of workflows, prompts and corpora, and starting a run from its form."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests import engine, example_replays, example_runs, factories
from workflows import payloads
from workflows.models import AuditEntry, Deployment, Environment, Release, Run

WORKFLOW = """
name: ask
input:
  type: object
  required: [question]
  properties:
    question: {type: string, minLength: 3}
    count: {type: integer, maximum: 5}
steps:
  - {id: keep, set: {said: "{{ input.question }}"}}
output: {said: "{{ steps.keep.output.said }}"}
"""


@pytest.fixture
def ask(db: None) -> str:
    return engine.deploy(WORKFLOW)


def _form(client: Client, **fields: str) -> Any:
    page = client.get("/workflows/ask/start/").content.decode()
    key = re.search(r'name="key" value="(\w+)"', page)
    assert key
    return client.post("/workflows/ask/start/", {"key": key[1], **fields})


def test_a_form_that_fits_starts_a_run(operator: Client, ask: str) -> None:
    answer = _form(operator, **{"input.question": "Why?", "input.count": "2", "title": "Asked by hand"})
    run = Run.objects.get()
    assert answer["Location"] == f"/runs/{run.id}/"
    assert (run.title, run.trigger, run.created_by) == ("Asked by hand", "console", "otto")
    assert payloads.load_one(run.input_hash) == {"question": "Why?", "count": 2}


def test_tags_and_priority_go_with_the_run_and_stay_when_it_is_refused(operator: Client, ask: str) -> None:
    sent = {"input.question": "Why?", "tags": "vip, later , vip", "priority": "high"}
    _form(operator, **sent)
    run = Run.objects.get()
    assert (run.tags, run.priority) == (["vip", "later"], 1)
    refused = _form(operator, **{**sent, "input.question": "x"}).content.decode()
    assert 'value="vip, later , vip"' in refused
    assert '<option value="high" selected>' in refused
    many = _form(operator, **{**sent, "tags": ",".join(f"t{n}" for n in range(21))})
    assert b"At most 20 tags" in many.content


def test_the_form_says_which_release_it_will_use(operator: Client, ask: str) -> None:
    page = operator.get("/workflows/ask/start/").content.decode()
    assert "<dt>Environment</dt><dd>production</dd>" in page
    assert "ask v1</a>" in page


def test_sending_a_form_twice_starts_one_run(operator: Client, ask: str) -> None:
    sent = {"key": "a" * 32, "input.question": "Why?"}
    first, second = (operator.post("/workflows/ask/start/", sent) for _ in range(2))
    assert first["Location"] == second["Location"]
    assert Run.objects.count() == 1


def test_what_does_not_fit_is_told_at_its_field_and_nothing_typed_is_lost(operator: Client, ask: str) -> None:
    answer = _form(operator, **{"input.question": "x", "input.count": "9", "title": "Kept <b>"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "2 fields need a look" in page
    assert 'value="9"' in page
    assert "Kept &lt;b&gt;" in page
    assert not Run.objects.exists()


def test_what_cannot_be_stored_is_refused_in_words(operator: Client, ask: str) -> None:
    answer = _form(
        operator, **{"input.question": "NUL \x00 and half \ud83d".encode("utf-8", "replace").decode()}
    )
    assert answer.status_code in {302, 422}
    assert operator.get("/runs/").status_code == 200


def test_an_earlier_input_fills_the_form(operator: Client, ask: str) -> None:
    _form(operator, **{"input.question": "Why is that?"})
    run = Run.objects.get()
    again = operator.get(f"/runs/{run.id}/again/")
    assert "Why is that?" in operator.get(again["Location"]).content.decode()
    for other in ("r_none", "%00"):
        assert operator.get(f"/workflows/ask/start/?like={other}").status_code == 200


def _in_staging(version: int = 1) -> Release:
    """Deploy a version of the workflow elsewhere too."""
    Environment.objects.create(name="staging")
    older = Release.objects.get(workflow="ask", number=1)
    manifest = {**older.manifest, "workflow": ["ask", version]}
    newer, _ = Release.objects.update_or_create(
        workflow="ask",
        number=2,
        defaults={"content_hash": "2" * 64, "manifest": manifest, "created_by": "anna"},
    )
    Deployment.objects.create(
        workflow="ask", environment_id="staging", stable=newer, deployed_at=timezone.now(), deployed_by="anna"
    )
    return newer


def test_another_environment_takes_over_what_was_typed_and_starts_nothing(operator: Client, ask: str) -> None:
    other = WORKFLOW.replace("[question]", "[question, tone]").replace(
        "count: {type: integer, maximum: 5}", "tone: {enum: [kind, dry], default: dry}"
    )
    engine.apply("kind: Workflow" + other)
    _in_staging(version=2)
    typed = {
        "input.question": "Why <b>?",
        "input.count": "2",
        "title": "By hand",
        "tags": "vip",
        "shown": "production",
    }
    answer = _form(operator, **typed, environment="staging")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert not Run.objects.exists()
    assert "nothing was started yet" in page
    for kept in (">\nWhy &lt;b&gt;?<", 'value="By hand"', 'value="vip"', 'name="input.count" value="2"'):
        assert kept in page
    assert "Not asked for in staging, and kept while this page is open: Count." in page
    assert '<option value="&quot;dry&quot;" selected>' in page
    back = _form(
        operator, **{**typed, "input.tone": '"kind"', "shown": "staging"}, environment="production"
    ).content.decode()
    assert re.search(r'id="input.count"[^>]* value="2"', back)
    assert "kept while this page is open: Tone." in back
    part = operator.post(
        "/workflows/ask/start/?like=r_1",
        {**typed, "environment": "staging"},
        headers={"HX-Request": "true"},
    )
    assert part["HX-Replace-Url"] == "/workflows/ask/start/?environment=staging&like=r_1"
    assert b"<html" not in part.content
    _form(operator, **{**typed, "input.tone": '"kind"', "shown": "staging"}, environment="staging")
    assert payloads.load_one(Run.objects.get().input_hash) == {"question": "Why <b>?", "tone": "kind"}


def test_the_environment_is_chosen_where_there_are_several(operator: Client, ask: str) -> None:
    assert 'type="radio"' not in operator.get("/workflows/ask/start/").content.decode()
    newer = _in_staging()
    page = operator.get("/workflows/ask/start/?like=r_1").content.decode()
    assert 'value="production" checked' in page
    assert 'hx-post="?like=r_1"' in page
    assert "<dt>Environment</dt><dd>production</dd>" in page
    page = operator.get("/workflows/ask/start/?environment=staging").content.decode()
    assert "<dt>Environment</dt><dd>staging</dd>" in page
    assert f"<dt>Release</dt><dd>{newer.number}," in page
    _form(operator, **{"input.question": "Why?", "environment": "staging"})
    run = Run.objects.get()
    assert (run.environment_id, run.release_id) == ("staging", newer.pk)
    again = operator.get(f"/runs/{run.id}/again/")["Location"]
    assert "<dd>staging</dd>" in operator.get(again).content.decode()
    assert "<dd>production</dd>" in operator.get("/workflows/ask/start/?environment=moon").content.decode()
    assert _form(operator, **{"input.question": "Why?", "environment": "moon"}).status_code == 404


def test_a_workflow_without_a_release_has_no_form(operator: Client) -> None:
    factories.definition("Workflow", "draft", {"name": "draft", "steps": []})
    assert operator.get("/workflows/draft/start/").status_code == 404
    assert b"This workflow has no release yet." in operator.get("/workflows/draft/").content


def test_cancelling_stops_the_run_and_is_written_down(operator: Client, ask: str) -> None:
    _form(operator, **{"input.question": "Why?"})
    run = Run.objects.get()
    assert b"Cancel this run?" in operator.get(f"/runs/{run.id}/cancel/").content
    operator.post(f"/runs/{run.id}/cancel/", {"reason": "by mistake"})
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert AuditEntry.objects.get(action="run.cancel").reason == "by mistake"
    refused = operator.post(f"/runs/{run.id}/cancel/", {})
    assert refused.status_code == 409
    assert b"only a run that goes on can be cancelled" in refused.content


def test_a_cancelled_run_can_be_retried_and_ends_well(operator: Client, ask: str) -> None:
    _form(operator, **{"input.question": "Why?"})
    run = Run.objects.get()
    assert operator.post(f"/runs/{run.id}/retry/", {}).status_code == 409
    operator.post(f"/runs/{run.id}/cancel/", {})
    answer = operator.post(f"/runs/{run.id}/retry/", {"reason": "after all"}, headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Redirect"]) == (204, f"/runs/{run.id}/")
    run.refresh_from_db()
    assert run.state == "running"


def test_settling_asks_for_a_reason_and_says_when_it_is_too_late(operator: Client) -> None:
    made = example_runs.unknown_run()
    address = f"/runs/{made.run.id}/resolve/"
    assert b"What became of" in operator.get(f"{address}?step=notify").content
    sent = {"step": "notify", "action": "supply", "output": "{", "reason": ""}
    answer = operator.post(address, sent)
    assert answer.status_code == 409
    assert b"Not JSON" in answer.content
    assert b"goes to the audit log" in answer.content
    gone = operator.post(address, {"step": "search", "action": "skip", "reason": "why not"})
    assert b"only a step that failed can be resolved" in gone.content


def test_an_output_that_does_not_fit_is_refused_with_what_is_wrong_where(operator: Client) -> None:
    example_replays.fill()
    sent = {"step": "answer", "action": "supply", "output": "17", "reason": "by hand"}
    answer = operator.post(f"/runs/{example_replays.FAILED}/resolve/", sent)
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "The output does not fit the schema of step answer." in text
    assert "<code>output</code>: " in text


def test_a_viewer_may_look_and_nothing_else(viewer: Client) -> None:
    made = example_runs.running_run()
    page = viewer.get(f"/runs/{made.run.id}/").content.decode()
    assert "Cancelling a run needs the role operator" in page
    for tail in ("cancel", "retry", "resolve", "again"):
        answer = viewer.post(f"/runs/{made.run.id}/{tail}/", {"reason": "x"})
        assert answer.status_code == 403
        assert b"Ask an admin for it." in answer.content
    assert viewer.post("/workflows/docs-assistant/start/", {}).status_code == 403


def test_workflows_show_their_figures(operator: Client) -> None:
    example_runs.succeeded_run()
    example_runs.failed_run()
    page = operator.get("/workflows/").content.decode()
    assert "50.0%" in page


def test_a_definition_is_shown_as_its_author_wrote_it(operator: Client) -> None:
    factories.release()
    page = operator.get("/workflows/docs-assistant/?tab=definition").content.decode()
    assert page.index("name: docs-assistant") < page.index("required: [question]") < page.index("steps:")


def test_a_prompt_shows_each_of_its_versions(operator: Client) -> None:
    factories.prompts()
    assert b"temperature: 0" in operator.get("/prompts/answer/").content
    assert b"temperature: 1" in operator.get("/prompts/answer/?version=1").content
    for wrong in ("3", "x", "0", "%00"):
        assert operator.get(f"/prompts/answer/?version={wrong}").status_code == 404


@pytest.mark.parametrize(
    "path", ["workflows/none", "prompts/none", "corpora/none", "workflows/%00", "corpora/%00"]
)
def test_what_does_not_exist_is_a_plain_404(operator: Client, path: str) -> None:
    assert operator.get(f"/{path}/").status_code == 404


@pytest.mark.parametrize("path", ["/workflows/", "/prompts/", "/corpora/"])
def test_an_empty_list_says_how_to_begin(operator: Client, path: str) -> None:
    assert b"yet" in operator.get(path).content


@pytest.mark.parametrize(("path", "most"), [("/workflows/", 9), ("/prompts/", 6), ("/corpora/", 9)])
def test_lists_take_the_same_queries_whatever_they_show(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries, path: str, most: int
) -> None:
    factories.prompts()
    factories.release()
    factories.release(factories.DIGEST)
    with django_assert_max_num_queries(most):
        operator.get(path)
