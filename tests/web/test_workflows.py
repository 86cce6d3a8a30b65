"""Pages of workflows: list, graph with figures, versions, comparisons, the editor with its plan, conflicts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests import engine, example_runs, example_workflows, factories
from tests.example_workflows import FIRST, SECOND
from workflows.models import AuditEntry, Definition, DefinitionVersion, Deployment

HX = {"HX-Request": "true"}
THIRD = SECOND.replace("to: nobody", "to: archive")
EDIT = "/workflows/claims/edit/"


@pytest.fixture
def claims(transactional_db: None) -> None:
    example_workflows.documents()


@pytest.fixture
def edith(claims: None, editor: Client) -> Client:
    return editor


def _text(answer: Any) -> str:
    return str(answer.content.decode())


def _seen(answer: Any) -> str:
    found = re.search(r'name="seen" value="(\w+)"', _text(answer))
    assert found
    return found[1]


def _save(client: Client, text: str, *, base: int, address: str = EDIT, note: str = "") -> Any:
    sent = {"text": text, "base": str(base), "note": note}
    seen = _seen(client.post(address, {**sent, "do": "review"}))
    return client.post(address, {**sent, "do": "save", "seen": seen})


def test_the_list_puts_what_fails_first_and_shows_the_figures_of_a_day(edith: Client) -> None:
    factories.definition("Workflow", "aaa", {"kind": "Workflow", "name": "aaa", "steps": []})
    example_workflows.runs()
    page = _text(edith.get("/workflows/"))
    assert page.index(">claims<") < page.index(">aaa<")
    assert "1 failed" in page
    assert "75.0%" in page
    assert 'aria-label="4 runs in the last 24 hours, 1 failed"' in page
    assert "olga" in page


def test_a_poll_of_the_list_is_304_until_something_happens(edith: Client) -> None:
    mark = edith.get("/workflows/")["HX-PTag"]
    assert edith.get("/workflows/", headers={**HX, "HX-PTag": mark}).status_code == 304
    engine.apply(THIRD)
    changed = edith.get("/workflows/", headers={**HX, "HX-PTag": mark})
    assert changed.status_code == 200
    assert "<html" not in _text(changed)


def test_the_list_pages_and_finds_by_a_part_of_a_name(edith: Client) -> None:
    for number in range(130):
        name = f"w-{number:03d}"
        factories.definition("Workflow", name, {"kind": "Workflow", "name": name, "steps": []})
    first = _text(edith.get("/workflows/"))
    assert "of 131" in first
    assert "after=w-098" in first
    assert "w-129" in _text(edith.get("/workflows/?after=w-098"))
    assert "w-042" in _text(edith.get("/workflows/?q=-042"))
    assert "Show all workflows" in _text(edith.get("/workflows/?q=zzz%00"))
    assert edith.get("/workflows/?after=%00%ff").status_code == 200


def test_the_graph_shows_the_figures_of_each_step(edith: Client) -> None:
    example_workflows.runs()
    page = _text(edith.get("/workflows/claims/"))
    assert re.search(
        r'data-step="assess" aria-label="assess, Model call assess, many fail, 75.0% · p95', page
    )
    assert "for each photo in input.photos" in page
    assert "if steps.assess.output.severity &gt;= 3" in page
    assert "release 2" in page


def test_a_step_opens_beside_the_graph_with_what_it_uses(edith: Client) -> None:
    example_workflows.runs()
    page = _text(edith.get("/workflows/claims/?step=assess"))
    assert 'href="/prompts/assess/"' in page
    assert "Show these runs" in page
    part = _text(edith.get("/workflows/claims/step/?step=assess", headers=HX))
    assert "<html" not in part
    assert "route: desk-chat" in part
    assert edith.get("/workflows/claims/step/?step=assess").status_code == 302
    assert "has no step none" in _text(edith.get("/workflows/claims/?step=none"))


@pytest.mark.parametrize(("tab", "most"), [("", 15), ("definition", 12), ("versions", 14), ("releases", 13)])
def test_a_workflow_takes_the_same_queries_however_much_ran(
    edith: Client, django_assert_max_num_queries: DjangoAssertNumQueries, tab: str, most: int
) -> None:
    example_workflows.runs(*["Claim"] * 6)
    with django_assert_max_num_queries(most):
        edith.get(f"/workflows/claims/?tab={tab}")


def test_versions_say_who_made_them_why_and_which_releases_hold_them(edith: Client) -> None:
    _save(edith, THIRD, base=2, note="Archive <b>instead</b>")
    page = _text(edith.get("/workflows/claims/?tab=versions"))
    assert "Archive &lt;b&gt;instead&lt;/b&gt;" in page
    assert "edith" in page
    assert 'title="Version 3"' in page
    assert ">production<" in _text(edith.get("/workflows/claims/?tab=releases"))


@pytest.mark.parametrize("layout", ["", "?as=split"])
def test_two_versions_are_compared_as_graph_in_words_and_as_text(edith: Client, layout: str) -> None:
    page = _text(edith.get(f"/workflows/claims/diff/1/2/{layout}"))
    assert re.search(r"Removed</span></span><code>keep</code>", page)
    assert re.search(r"Added</span></span><code>notify</code>", page)
    assert 'aria-label="decide, Branch, changed, Changed: branch' in page
    assert "<ins>3</ins>" in page
    assert edith.get("/workflows/claims/diff/?old=1&new=2")["Location"] == "/workflows/claims/diff/1/2/"
    for wrong in (
        "/workflows/claims/diff/1/9/",
        "/workflows/claims/diff/?old=x&new=2",
        "/workflows/no/diff/1/2/",
    ):
        assert edith.get(wrong).status_code == 404


def test_saving_shows_the_plan_first_and_then_makes_a_version(edith: Client) -> None:
    review = edith.post(EDIT, {"text": THIRD, "base": "2", "do": "review"})
    page = _text(review)
    assert "<ins>archive</ins>" in page
    assert "waits to be deployed" in page
    assert Definition.objects.get(name="claims").latest_version == 2
    done = _save(edith, THIRD, base=2, note="Keep them")
    assert done["Location"] == "/workflows/claims/"
    assert "Saved v3. Made release 3: deploy it to use it." in _text(edith.get(done["Location"]))
    made = DefinitionVersion.objects.get(definition__name="claims", version=3)
    assert made.created_by == "edith"
    assert AuditEntry.objects.get(object_id="claims@3").reason == "Keep them"


def test_what_is_wrong_is_told_with_its_line_and_nothing_typed_is_lost(edith: Client) -> None:
    wrong = SECOND.replace("steps.assess.output.severity >= 3", "steps.asess.output < '<b>'")
    answer = edith.post(EDIT, {"text": wrong, "base": "2", "note": "mine", "do": "review"})
    page = _text(answer)
    assert answer.status_code == 422
    assert "steps.asess.output &lt; &#x27;&lt;b&gt;&#x27;" in page
    assert 'value="mine"' in page
    assert re.search(r'data-jump="document:\d+"', page)


def test_the_check_as_you_type_is_the_one_of_apply_and_draws_what_changed(edith: Client) -> None:
    good = _text(edith.post("/workflows/claims/check/", {"text": THIRD, "base": "2"}, headers=HX))
    assert "Can be saved" in good
    assert 'hx-swap-oob="true"' in good
    assert "Changed: set" in good
    bad = SECOND.replace("prompt: assess", "prompt: asess")
    page = _text(edith.post("/workflows/claims/check/", {"text": bad, "base": "2"}, headers=HX))
    assert "there is no Prompt &#x27;asess&#x27;" in page
    assert "assess, Model call asess, wrong" in page
    unread = _text(edith.post("/workflows/claims/check/", {"text": "a: [", "base": "2"}, headers=HX))
    assert "Line" in unread
    assert "preview" not in unread


def test_two_people_who_edit_one_workflow_both_keep_their_text(edith: Client) -> None:
    engine.apply(SECOND.replace("to: people", "to: the_desk"))
    answer = edith.post(EDIT, {"text": THIRD, "base": "2", "note": "mine", "do": "review"})
    page = _text(answer)
    assert answer.status_code == 409
    assert "olga saved v3" in page
    assert "the_desk" in page
    assert "to: archive" in page
    assert 'value="mine"' in page
    review = edith.post(EDIT, {"text": THIRD, "base": "2", "over": "3", "do": "review"})
    assert 'name="base" value="3"' in _text(review)
    assert _save(edith, THIRD, base=3).status_code == 302
    assert Definition.objects.get(name="claims").latest_version == 4


def test_a_plan_that_has_changed_meanwhile_is_shown_again_and_not_carried_out(edith: Client) -> None:
    sent = {"text": THIRD, "base": "2"}
    seen = _seen(edith.post(EDIT, {**sent, "do": "review"}))
    engine.apply(example_workflows.OTHERS.replace("Summarise the claim", "Sum up the claim"))
    answer = edith.post(EDIT, {**sent, "do": "save", "seen": seen})
    assert answer.status_code == 409
    assert "changed since you looked at the plan" in _text(answer)
    assert Definition.objects.get(name="claims").latest_version == 2


def test_nothing_to_save_is_said_and_no_version_is_made(edith: Client) -> None:
    page = _text(edith.post(EDIT, {"text": SECOND.replace("\n", "\r\n"), "base": "2", "do": "review"}))
    assert "Nothing to save" in page


def test_a_new_workflow_is_written_planned_and_goes_live_as_its_first_release(edith: Client) -> None:
    page = _text(edith.get("/workflows/_new/"))
    assert "name: my-workflow" in page
    text = FIRST.replace("name: claims", "name: complaints")
    assert "goes live at once in production" in _text(
        edith.post("/workflows/_new/", {"text": text, "base": "0", "do": "review"})
    )
    done = _save(edith, text, base=0, address="/workflows/_new/")
    assert done["Location"] == "/workflows/complaints/"
    assert Deployment.objects.filter(workflow="complaints").exists()


def test_a_new_workflow_may_not_take_another_ones_name(edith: Client) -> None:
    answer = edith.post("/workflows/_new/", {"text": THIRD, "base": "0", "do": "save", "seen": "x"})
    assert answer.status_code == 409
    assert "there is a workflow claims already" in _text(answer)
    other = edith.post("/workflows/_new/check/", {"text": "kind: Prompt\nname: p\nmessages: []"}, headers=HX)
    assert "has to be Workflow" in _text(other)


def test_only_editors_may_edit_and_others_are_told_why(claims: None, operator: Client) -> None:
    assert "needs the role editor" in _text(operator.get("/workflows/claims/"))
    for address in (EDIT, "/workflows/_new/", "/workflows/claims/check/"):
        assert operator.post(address, {"text": THIRD, "base": "2", "do": "save"}).status_code == 403


def test_the_graph_of_a_run_shows_states_and_counts_items(operator: Client) -> None:
    example_runs.failed_run(number=1)
    page = _text(operator.get("/runs/r_0000000000001/?tab=graph"))
    assert 'aria-label="notify, Tool notify-channel, Failed · 42 s · 3 failures"' in page
    assert "?tab=graph&amp;step=route%2Fnotify" in page
    example_runs.map_run(30, failed=[4], number=2)
    page = _text(operator.get("/runs/r_0000000000002/?tab=graph"))
    assert "1 failed · 29 succeeded" in page
    assert "step=each%5B4%5D%2Freply" in page
    chosen = _text(operator.get("/runs/r_0000000000002/?tab=graph&step=each[7]/reply"))
    assert 'aria-current="true" data-step="reply"' in chosen
    assert "each[7]/reply" in chosen


def test_the_graph_of_a_run_takes_few_queries(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    example_runs.map_run(200, number=1)
    with django_assert_max_num_queries(18):
        operator.get("/runs/r_0000000000001/?tab=graph")


def test_a_workflow_may_be_called_new(edith: Client) -> None:
    engine.apply("{kind: Workflow, name: new, steps: [{id: a, set: {b: 1}}]}")
    assert "<h1>new</h1>" in _text(edith.get("/workflows/new/"))
    assert edith.get("/workflows/new/edit/").status_code == 200
    assert edith.post("/workflows/new/check/", {"text": "kind: Prompt"}, headers=HX).status_code == 200
    assert 'href="/workflows/_new/"' in _text(edith.get("/workflows/"))
