"""Pages of prompts: list, editor, its tabs, saving, conflicts, comparisons, trying."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from console.models import Role
from tests import engine, example_prompts, factories
from workflows import payloads, trying
from workflows.models import AuditEntry, Definition, DefinitionVersion, Payload, Run

NEW = example_prompts.PROMPT.replace("how urgent", "how very urgent")
HX = {"HX-Request": "true"}


@pytest.fixture
def triage(transactional_db: None) -> None:
    example_prompts.documents()


def _editor(client: Client) -> Client:
    client.force_login(factories.user(Role.EDITOR, "edith"))
    return client


@pytest.fixture
def edith(triage: None, client: Client) -> Client:
    return _editor(client)


def _text(answer: Any) -> str:
    return str(answer.content.decode())


def test_the_list_says_what_is_live_where_who_uses_it_and_who_changed_it(edith: Client) -> None:
    example_prompts.runs()
    page = _text(edith.get("/prompts/"))
    assert 'production <span class="version" title="Version 2">v2</span>' in page
    assert "support</td>" in page
    assert ">2<span" in page
    assert "olga" in page


def test_the_list_pages_by_name_and_finds_by_a_part_of_it(edith: Client) -> None:
    for number in range(130):
        factories.definition("Prompt", f"p-{number:03d}", {"kind": "Prompt", "name": f"p-{number:03d}"})
    first = _text(edith.get("/prompts/"))
    assert "p-099" in first
    assert "p-100" not in first
    assert "after=p-099" in first
    assert "p-129" in _text(edith.get("/prompts/?after=p-099"))
    assert "p-042" in _text(edith.get("/prompts/?q=-042"))
    assert "Show all prompts" in _text(edith.get("/prompts/?q=zzz%00"))
    assert edith.get("/prompts/?after=%00%ff").status_code == 200


def test_the_list_takes_the_same_queries_whatever_it_shows(
    edith: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(60):
        factories.definition("Prompt", f"p-{number:03d}", {"kind": "Prompt", "name": f"p-{number:03d}"})
    with django_assert_max_num_queries(6):
        edith.get("/prompts/")


@pytest.mark.parametrize(("tab", "most"), [("preview", 13), ("diff", 10), ("test", 15), ("usage", 14)])
def test_a_prompt_takes_the_same_queries_whatever_was_made_of_it(
    edith: Client, django_assert_max_num_queries: DjangoAssertNumQueries, tab: str, most: int
) -> None:
    example_prompts.runs(*("Hello",) * 8)
    payloads._cache = payloads._Cache(payloads.CACHE_BYTES)
    with django_assert_max_num_queries(most):
        edith.get(f"/prompts/triage/?tab={tab}")


def test_a_save_makes_a_version_with_its_note_and_its_author(edith: Client) -> None:
    sent = {"text": NEW, "base": "2", "note": "Urgency was read too low"}
    answer = edith.post("/prompts/triage/save/", sent, follow=True)
    assert "Saved v3." in _text(answer)
    assert 'data-told="saved"' in _text(answer)
    made = DefinitionVersion.objects.get(definition__name="triage", version=3)
    assert made.created_by == "edith"
    assert made.body["messages"][0]["content"].endswith("how very urgent they are.")
    assert AuditEntry.objects.get(object_id="triage@3").reason == "Urgency was read too low"
    assert "Urgency was read too low" in _text(answer)
    assert "support release 2" in _text(answer)


def test_lines_that_a_browser_sent_are_the_lines_that_were_typed(edith: Client) -> None:
    edith.post("/prompts/triage/save/", {"text": example_prompts.PROMPT.replace("\n", "\r\n"), "base": "2"})
    assert Definition.objects.get(name="triage").latest_version == 2


def test_two_people_who_edit_one_prompt_both_keep_their_text(edith: Client) -> None:
    theirs = example_prompts.PROMPT.replace("support tickets", "letters")
    engine.apply(theirs)
    answer = edith.post("/prompts/triage/save/", {"text": NEW, "base": "2", "note": "mine"})
    page = _text(answer)
    assert answer.status_code == 409
    assert "olga saved v3" in page
    assert "<del>letters</del>" in page
    assert "how very urgent" in page
    assert 'value="mine"' in page
    assert Definition.objects.get(name="triage").latest_version == 3
    again = edith.post("/prompts/triage/save/", {"text": NEW, "base": "2", "over": "3"})
    assert again.status_code == 302
    assert Definition.objects.get(name="triage").latest_version == 4


def test_what_is_wrong_is_told_and_nothing_typed_is_lost(edith: Client) -> None:
    wrong = example_prompts.PROMPT.replace("{{ ticket }}", "{{ tickets }} <b>")
    answer = edith.post("/prompts/triage/save/", {"text": wrong, "base": "2", "note": "n<o>te"})
    page = _text(answer)
    assert answer.status_code == 422
    assert "names &#x27;tickets&#x27;, which is none of the prompt&#x27;s variables" in page
    assert "{{ tickets }} &lt;b&gt;" in page
    assert "n&lt;o&gt;te" in page


def test_a_save_that_would_break_a_workflow_is_refused(edith: Client) -> None:
    other = example_prompts.PROMPT.replace("ticket:", "letter:").replace("{{ ticket }}", "{{ letter }}")
    answer = edith.post("/prompts/triage/save/", {"text": other, "base": "2"})
    assert answer.status_code == 422
    assert "saved Workflow support" in _text(answer)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("name: triage", "name: other"), "has to stay triage"),
        (("kind: Prompt", "kind: Tool"), "has to stay Prompt"),
        (("params:", "---\nkind: Prompt\nname: b\nmessages: []\n---\nparams:"), "one document"),
        (("role: user", "role: use"), "role"),
        (("kind: Prompt", "{"), "Line"),
    ],
)
def test_the_check_as_you_type_is_the_one_of_apply(edith: Client, change: tuple[str, str], told: str) -> None:
    answer = edith.post(
        "/prompts/triage/check/", {"text": example_prompts.PROMPT.replace(*change)}, headers=HX
    )
    assert answer.status_code == 200
    assert told in _text(answer) or "problem" in _text(answer)
    assert 'data-line="' in _text(answer)


def test_the_check_names_variables_that_are_not_used(edith: Client) -> None:
    text = example_prompts.PROMPT.replace("  ticket: {", "  tone: {type: string}\n  ticket: {")
    page = _text(edith.post("/prompts/triage/check/", {"text": text}, headers=HX))
    assert "No message uses the variable <code>tone</code>" in page
    assert "(estimated)" in page


def test_a_check_asks_the_database_nothing_about_what_was_typed(
    edith: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(4):
        edith.post("/prompts/triage/check/", {"text": NEW}, headers=HX)


def test_a_preview_fills_the_edited_text_in_with_what_a_run_gave(edith: Client) -> None:
    run = example_prompts.runs("I want a <i>refund</i>")[0]
    page = _text(edith.post("/prompts/triage/side/preview/", {"text": NEW, "base": "2"}, headers=HX))
    assert "how very urgent" in page
    assert "Ticket: I want a &lt;i&gt;refund&lt;/i&gt;" in page
    assert "<mark>{{ ticket }}</mark>" in page
    assert run.id in page
    assert "<html" not in page


def test_a_preview_names_what_has_no_value(edith: Client) -> None:
    example_prompts.runs("Hello")
    text = NEW.replace("  ticket: {", "  tone: {type: string}\n  ticket: {").replace(
        "{{ ticket }}", "{{ tone }}"
    )
    page = _text(edith.post("/prompts/triage/side/preview/", {"text": text}, headers=HX))
    assert "<code>tone</code> has no value here" in page
    assert "text-bad" in page


def test_without_a_run_the_values_are_typed(edith: Client) -> None:
    sent = {"text": NEW, "sample": "own", "values": json.dumps({"ticket": "by hand"})}
    assert "Ticket: by hand" in _text(edith.post("/prompts/triage/side/preview/", sent, headers=HX))
    sent["values"] = "{broken"
    assert "The values are no JSON" in _text(edith.post("/prompts/triage/side/preview/", sent, headers=HX))
    sent["values"] = "[1]"
    assert "are a JSON object" in _text(edith.post("/prompts/triage/side/preview/", sent, headers=HX))
    assert "No run has used this prompt yet" in _text(edith.get("/prompts/triage/"))


def test_values_that_are_not_stored_any_more_are_told(edith: Client) -> None:
    example_prompts.runs("Hello")
    Payload.objects.all().delete()
    payloads._cache = payloads._Cache(payloads.CACHE_BYTES)
    assert "is not stored any more; pick another" in _text(edith.get("/prompts/triage/"))


@pytest.mark.parametrize(
    "content",
    [
        "{{ ''.__class__ }}",
        "{{ 'a' * 100000000 }}",
        "{% for a in range(9999999) %}{% for b in range(9999999) %}x{% endfor %}{% endfor %}",
        "{{ ticket.upper.__globals__ }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_hostile_template_gives_an_error_and_nothing_else(edith: Client, content: str) -> None:
    text = json.dumps(
        {
            "kind": "Prompt",
            "name": "triage",
            "variables": {"ticket": {}},
            "messages": [{"role": "user", "content": content}],
        }
    )
    sent = {"text": text, "sample": "own", "values": '{"ticket": "x"}'}
    page = _text(edith.post("/prompts/triage/side/preview/", sent, headers=HX))
    assert "root:" not in page
    assert "text-bad" in page or "problem" in page


def test_without_javascript_a_tab_is_the_whole_page_with_the_typed_text(edith: Client) -> None:
    page = _text(edith.post("/prompts/triage/side/diff/", {"text": NEW, "base": "2"}))
    assert "<html" in page
    assert "how very urgent they are" in page
    assert "<ins>very </ins>" in page
    assert edith.get("/prompts/triage/side/diff/")["Location"] == "/prompts/triage/?tab=diff"
    assert edith.get("/prompts/triage/save/")["Location"] == "/prompts/triage/"


def test_usage_names_releases_runs_and_versions(edith: Client) -> None:
    run = example_prompts.runs("Hello")[0]
    page = _text(edith.get("/prompts/triage/?tab=usage"))
    assert f"/runs/{run.id}/?step=judge" in page
    assert "1 run<" in page
    assert "0 runs<" in page
    assert "production" in page


def test_two_versions_are_compared_as_documents_and_as_sent(edith: Client) -> None:
    example_prompts.runs("Hello")
    for layout in ("unified", "split"):
        page = _text(edith.get(f"/prompts/triage/diff/1/2/?as={layout}"))
        assert page.count(f"diff-{layout}") == 2
        assert "<ins>" in page
    picked = edith.get("/prompts/triage/diff/?old=2&new=1&as=split")
    assert picked["Location"] == "/prompts/triage/diff/2/1/?as=split"
    for wrong in (
        "/prompts/triage/diff/1/9/",
        "/prompts/none/diff/1/2/",
        "/prompts/triage/diff/?old=x&new=1",
    ):
        assert edith.get(wrong).status_code == 404


def test_who_may_only_look_can_preview_and_compare_but_not_save_or_try(triage: None, client: Client) -> None:
    client.force_login(factories.user(Role.OPERATOR, "otto"))
    page = _text(client.get("/prompts/triage/?tab=test"))
    assert "Applying definitions needs the role editor" in page
    assert "Calling a model with a prompt needs the role editor" in page
    assert "readonly" in page
    assert client.post("/prompts/triage/save/", {"text": NEW, "base": "2"}).status_code == 403
    assert client.post("/prompts/triage/try/", {"text": NEW}).status_code == 403
    assert client.post("/prompts/triage/side/diff/", {"text": NEW}, headers=HX).status_code == 200
    assert Definition.objects.get(name="triage").latest_version == 2


def test_a_session_that_ended_asks_to_sign_in_and_carries_the_text_along(edith: Client) -> None:
    edith.logout()
    answer = edith.post("/prompts/triage/save/", {"text": NEW, "base": "2"})
    assert answer.status_code == 401
    assert 'name="carried"' in _text(answer)
    answer = edith.post("/prompts/triage/check/", {"text": NEW}, headers=HX)
    assert answer.status_code == 401
    assert Definition.objects.get(name="triage").latest_version == 2


def _try(client: Client, ticket: str, **more: str) -> str:
    sent = {
        "text": NEW,
        "sample": "own",
        "values": json.dumps({"ticket": ticket}),
        "choice": "chat:fake/m",
        **more,
    }
    answer = client.post("/prompts/triage/try/", sent, headers=HX)
    assert answer.status_code == 200
    return _text(answer)


def test_trying_calls_the_model_once_and_makes_no_run(edith: Client) -> None:
    page = _try(edith, "A refund, please")
    assert "Fits the output schema" in page
    assert '<span class="json-value">5</span>' in page
    assert "fake/m" in page
    entry = AuditEntry.objects.get(action="prompt.try")
    assert (entry.actor, entry.object_id, entry.data["model"]) == ("edith", "triage", "fake/m")
    assert float(entry.data["cost_usd"]) > 0
    assert not Run.objects.exists()


def test_trying_says_where_an_answer_does_not_fit(edith: Client) -> None:
    page = _try(edith, "broken")
    assert "Does not fit the output schema" in page
    assert "it is not JSON" in page
    assert "no idea" in page


def test_an_error_of_the_provider_is_told_in_words_and_written_down(edith: Client) -> None:
    page = _try(edith, "busy")
    assert "overloaded" in page or "server_error" in page
    assert AuditEntry.objects.get(action="prompt.try").data["error"]


def test_nothing_is_sent_that_is_not_whole(edith: Client) -> None:
    assert "Mend the document first" in _try(edith, "x", text="kind: [")
    assert "pick another" in _try(edith, "x", choice="gone:fake/m")
    assert "Nothing was sent" in _try(edith, "x", values="{}")
    assert not AuditEntry.objects.filter(action="prompt.try").exists()


def test_only_a_few_calls_wait_at_a_time(edith: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "_room", threading.BoundedSemaphore(1))
    with trying._a_place():
        assert "waiting already" in _try(edith, "Hello")
    assert "Fits the output schema" in _try(edith, "Hello")
