"""A run's record in the console: replay and state at any event, fork, compare, retry from a step."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests import engine, factories
from tests.db.engine.test_forks import OTHERS
from tests.db.engine.test_pins import DOCUMENTS
from tests.db.retrieval import fixtures
from workflows.engine import bundle
from workflows.models import Run
from workflows.step_kinds import prompt
from workflows.step_kinds.base import as_text

HTMX = {"HX-Request": "true"}
FLOW = """
name: greeting
input: {type: object, required: [of]}
steps:
  - {id: a, set: {of: "{{ input.of }}"}}
  - {id: greet, needs: [a], prompt: greet, with: {of: "{{ steps.a.output.of }}"}, route: chat}
  - {id: ratio, needs: [greet], set: {v: "{{ 1 / (input.of | length - 3) }}"}}
output: "{{ steps.greet.output.text }}"
"""
REMEMBERS = """
name: remembers
input: {type: object}
steps:
  - {id: search, retrieve: handbook, query: apple, mode: text}
  - {id: note, memory: {write: {scope: workflow, key: rules, value: "{{ input.rule }}"}}}
"""


@pytest.fixture
def greeting(transactional_db: None) -> str:
    bundle.forget_providers()
    return engine.deploy(FLOW, others=OTHERS)


def test_a_run_that_replays_alike_says_so(operator: Client, greeting: str) -> None:
    run = engine.run(greeting, of="anna")
    page = operator.get(f"/runs/{run.pk}/replay/").content.decode()
    assert "Identical" in page
    assert "3 outcomes were decided anew" in page
    count = run.journal.count()
    assert f"As of event {count} of {count}" in page
    for asked, shown in (("1", 1), ("2", 2), ("0", 1), ("99999999999", count)):
        page = operator.get(f"/runs/{run.pk}/replay/", {"nth": asked}).content.decode()
        assert f"As of event {shown} of {count}" in page
        assert f'name="nth" inputmode="numeric" value="{shown}"' in page
    run_page = operator.get(f"/runs/{run.pk}/").content.decode()
    for part in (f"/runs/{run.pk}/replay/", f"/runs/{run.pk}/fork/", f"/runs/compare/?a={run.pk}"):
        assert part in run_page


def test_what_comes_out_differently_is_shown_side_by_side(
    operator: Client, greeting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = engine.run(greeting, of="anna")
    monkeypatch.setattr(prompt, "as_text", lambda value: as_text(value).upper())
    page = operator.get(f"/runs/{run.pk}/replay/").content.decode()
    assert "It comes out differently now" in page
    assert "input at $.messages[0].content" in page
    assert "you are m: anna" in page
    assert "YOU ARE M: ANNA" in page


def test_the_state_at_an_event_is_that_of_then(operator: Client, greeting: str) -> None:
    run = engine.run(greeting, of="anna")
    events = list(run.journal.order_by("seq").values_list("seq", "type", "step"))
    begun = next(seq for seq, type_, step in events if (type_, step) == ("attempt.started", "greet"))
    page = operator.get(f"/runs/{run.pk}/replay/", {"event": begun}).content.decode()
    assert "attempt.started" in page
    assert "1 step had not begun" in page
    for asked in ("0", "x", str(10**30)):
        assert operator.get(f"/runs/{run.pk}/replay/", {"event": asked}).status_code == 200


def test_a_run_that_goes_on_is_rebuilt_and_not_judged(operator: Client, transactional_db: None) -> None:
    run = engine.run(engine.deploy("name: w\nsteps: [{id: a, wait: {signal: s}}]"))
    page = operator.get(f"/runs/{run.pk}/replay/").content.decode()
    assert "The run goes on" in page
    assert "run.waiting" in page
    assert "It can be forked once it has ended" in operator.get(f"/runs/{run.pk}/fork/").content.decode()


def test_a_fork_with_another_prompt_leads_to_the_comparison(operator: Client, greeting: str) -> None:
    run = engine.run(greeting, of="anna")
    form = operator.get(f"/runs/{run.pk}/fork/", {"step": "greet"}).content.decode()
    assert '<option value="greet" selected>' in form
    assert "fake/other" in form
    sent = {
        "from_step": "greet",
        "text:greet": '{"messages": [{"role": "user", "content": "loud {{ of }}"}]}',
    }
    answer = operator.post(f"/runs/{run.pk}/fork/", sent)
    made = Run.objects.exclude(pk=run.pk).get()
    assert answer["Location"] == f"/runs/compare/?a={run.pk}&b={made.pk}"
    going = operator.get(answer["Location"]).content.decode()
    assert 'hx-trigger="every 3s"' in going
    engine.drain()
    page = operator.get(answer["Location"] + "&step=greet").content.decode()
    assert "every 3s" not in page
    for part in (
        "First difference",
        "<td>Prompt</td>",
        "LOUD",
        "2 steps that are the same too",
        "<h3>Output</h3>",
        "<h4>Message 1, user</h4>",
        "Δ tokens",
        'class="bars-scale"',
        'class="tick"',
    ):
        assert part in page, part
    assert "ratio" in operator.get(answer["Location"] + "&all=1").content.decode()


def test_a_fork_takes_another_route_and_other_params(operator: Client, greeting: str) -> None:
    engine.apply("{kind: Route, name: chat, targets: [fake/other]}")
    run = engine.run(greeting, of="anna")
    form = operator.get(f"/runs/{run.pk}/fork/", {"step": "greet"}).content.decode()
    for part in ('name="route:chat"', 'placeholder="version 1"', "Params of step greet"):
        assert part in form, part
    sent = {"from_step": "greet", "route:chat": "2", "params:greet": '{"temperature": 0}'}
    answer = operator.post(f"/runs/{run.pk}/fork/", sent)
    assert answer.status_code == 302, answer.content
    engine.drain()
    made = Run.objects.exclude(pk=run.pk).get()
    assert [call.model_requested for call in made.calls.all()] == ["other"]
    page = operator.get(answer["Location"] + "&step=greet").content.decode()
    for part in ("<td>Params</td>", "<td>Route</td>", "temperature"):
        assert part in page, part


def test_memory_and_documents_are_compared_by_name(operator: Client, transactional_db: None) -> None:
    engine.apply(*DOCUMENTS)
    fixtures.publish("handbook", {"a.md": "Apple pie."})
    name = engine.deploy(REMEMBERS)
    first = engine.run(name, rule="be kind")
    fixtures.publish("handbook", {"a.md": None, "b.md": "Apple tart."})
    second = engine.run(name, rule="be brief")
    address = f"/runs/compare/?a={first.pk}&b={second.pk}"
    page = operator.get(address + "&step=search").content.decode()
    for part in (
        '<a href="/corpora/handbook/document/?name=a.md&amp;revision=1">handbook/a.md@1</a>',
        "handbook/b.md@1",
        ">went<",
        ">came<",
        "<h2>Memory",
        "workflow:remembers/rules",
        "be kind",
        "be brief",
    ):
        assert part in page, part
    same = operator.get("/runs/compare/", {"a": first.pk, "b": first.pk}).content.decode()
    assert "<h2>Memory" not in same


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        ({"input": "{"}, 422, "Not JSON"),
        ({"prompt:greet": "x"}, 422, "A number from 1 on is expected"),
        ({"text:greet": "[]"}, 422, "A JSON object is expected"),
        ({"route:chat": "x"}, 422, "A number from 1 on is expected"),
        ({"route:chat": "9"}, 409, "has no version 9"),
        ({"params:greet": "1"}, 422, "A JSON object is expected"),
        ({"params:a": "{}"}, 409, "has no params of its own"),
        ({"prompt:greet": "9"}, 409, "has no version 9"),
        ({"from_step": "nothing"}, 409, "has no step nothing"),
        ({"model:chat": "fake/none"}, 409, "do not fit the workflow"),
    ],
)
def test_a_form_that_cannot_be_forked_says_why_and_keeps_what_was_typed(
    operator: Client, greeting: str, sent: dict[str, str], status: int, says: str
) -> None:
    run = engine.run(greeting, of="anna")
    answer = operator.post(f"/runs/{run.pk}/fork/", sent)
    assert answer.status_code == status
    page = answer.content.decode()
    assert says in page
    assert "Nothing was started" in page
    assert Run.objects.count() == 1


def test_one_run_is_offered_what_it_can_be_compared_with(operator: Client, greeting: str) -> None:
    first, second = engine.run(greeting, of="anna"), engine.run(greeting, of="bert")
    page = operator.get("/runs/compare/", {"a": first.pk}).content.decode()
    assert second.pk in page
    assert operator.get("/runs/compare/").status_code == 200
    assert operator.get("/runs/compare/", {"a": first.pk, "b": "r_nobody"}).status_code == 404
    same = operator.get("/runs/compare/", {"a": first.pk, "b": first.pk}).content.decode()
    assert "No step differs" in same


def test_a_step_that_failed_is_retried_from_an_earlier_one_or_supplied(
    operator: Client, greeting: str
) -> None:
    run = engine.run(greeting, of="ann")
    assert run.state == "failed"
    step = operator.get(f"/runs/{run.pk}/", {"step": "ratio"}).content.decode()
    for part in ("Fork from here", "Retry from here", "Supply or skip"):
        assert part in step, part
    dialog = operator.get(f"/runs/{run.pk}/retry/", {"step": "greet"}, headers=HTMX).content.decode()
    assert "Retry from <code>greet</code>" in dialog
    assert "<code>greet</code>, <code>ratio</code>" in dialog
    answer = operator.post(f"/runs/{run.pk}/retry/", {"step": "greet", "reason": "x"}, headers=HTMX)
    assert answer.status_code == 204
    engine.drain()
    assert run.calls.count() == 2
    asked = operator.get(f"/runs/{run.pk}/resolve/", {"step": "ratio"}, headers=HTMX).content.decode()
    assert "It failed, and the run with it" in asked
    sent = {"step": "ratio", "action": "supply", "output": '{"v": 1}', "reason": "by hand"}
    assert operator.post(f"/runs/{run.pk}/resolve/", sent, headers=HTMX).status_code == 204
    run.refresh_from_db()
    assert run.state == "succeeded"


def test_a_run_is_downloaded_as_a_file_and_taken_in_elsewhere(client: Client, greeting: str) -> None:
    client.force_login(factories.user("editor", "edith"))
    run = engine.run(greeting, of="anna")
    assert "Export to replay" in client.get(f"/runs/{run.pk}/").content.decode()
    assert client.get(f"/runs/{run.pk}/pack/").status_code == 200
    assert "is no text" in client.post(f"/runs/{run.pk}/pack/", {"redact": "colour"}).content.decode()
    assert b"anna" not in client.post(f"/runs/{run.pk}/pack/", {"redact": "of"}).content
    packed = client.post(f"/runs/{run.pk}/pack/")
    assert packed["Content-Disposition"] == f'attachment; filename="{run.pk}.interlock.json"'
    assert client.get("/runs/import/").status_code == 200
    for file, says in ((None, "Choose a file"), (b"{", "not JSON"), (packed.content, "is here already")):
        sent = {"file": SimpleUploadedFile("run.json", file)} if file else {}
        assert says in client.post("/runs/import/", sent).content.decode()
    Run.objects.get(pk=run.pk).delete()  # as on a machine that does not know it
    answer = client.post("/runs/import/", {"file": SimpleUploadedFile("run.json", packed.content)})
    assert answer["Location"] == f"/runs/{run.pk}/replay/"
    assert "Identical" in client.get(answer["Location"]).content.decode()
    page = client.get(f"/runs/{run.pk}/", {"step": "greet"})
    assert page.status_code == 200


def test_a_viewer_looks_and_forks_nothing(viewer: Client, greeting: str) -> None:
    run = engine.run(greeting, of="anna")
    assert viewer.get(f"/runs/{run.pk}/replay/").status_code == 200
    assert viewer.get("/runs/compare/", {"a": run.pk, "b": run.pk}).status_code == 200
    assert viewer.get(f"/runs/{run.pk}/fork/").status_code == 403
    assert viewer.post(f"/runs/{run.pk}/fork/", {}).status_code == 403
