"""Prompt, retrieve and tool steps against scripted providers: what is recorded, retried, repaired and paid."""

import threading
from decimal import Decimal
from typing import Any

import pytest

from tests.db.builtin.test_ingest import WORDS, ended, text
from tests.db.builtin.test_ingest import start as ingest
from tests.engine import apply, check_journal, deploy, drain, output, run, start, wake
from workflows import database, payloads
from workflows.engine import bundle
from workflows.models import Call, Lineage, StepRun

FAKE = """
kind: Provider
name: fake
api: scripted
models: [{name: m, context_tokens: 8000, price: {input: 1, output: 2}}, {name: words, embeds: 64}]
rules:
  - {match: "refund", reply: '{"severity": 5}'}
  - {match: "broken", reply: 'no json at all', times: 1}
  - {match: "broken|not fit|fit", reply: '{"severity": 2}'}
  - {match: "never", reply: 'still no json'}
  - {match: "flaky", fault: {status: 503}, times: 4}
  - {match: "flaky", reply: "there"}
---
kind: Route
name: chat
targets: [fake/m]
retry: {attempts: 2, first: 1ms, max: 2ms}
"""
TRIAGE = """
name: triage
variables: {ticket: {type: string}}
messages:
  - {role: system, content: "You sort tickets."}
  - {role: user, content: "{{ ticket }}"}
params: {temperature: 0}
output: {type: object, required: [severity], properties: {severity: {type: integer, minimum: 1, maximum: 5}}}
"""
SUPPORT = """
name: support
input: {type: object, required: [ticket], properties: {ticket: {type: string}}}
steps:
  - id: triage
    prompt: triage
    route: chat
    with: {ticket: "{{ input.ticket }}"}
    repair: 1
output: "{{ steps.triage.output }}"
"""
ANSWER = """
name: answer
variables: {question: {type: string}}
messages: [{role: user, content: "{{ question }}"}]
"""
FREE = """
name: free
steps:
  - id: answer
    prompt: answer
    route: chat
    with: {question: "{{ input.q }}"}
    retry: {attempts: 4, first: 1ms, max: 2ms}
output: "{{ steps.answer.output.text }}"
"""


def support() -> str:
    return deploy(SUPPORT, prompts=TRIAGE, others=FAKE)


def test_a_prompt_gives_the_value_that_its_schema_asks_for() -> None:
    done = run(support(), ticket="I want a refund")
    assert output(done) == {"severity": 5}
    check_journal(done)


def test_every_call_is_recorded_whole_and_priced() -> None:
    done = run(support(), ticket="I want a refund")
    call = Call.objects.get(run=done)
    assert (call.state, call.provider, call.model_requested, call.finish_reason) == (
        "done",
        "fake",
        "m",
        "stop",
    )
    request: Any = payloads.load_one(call.request_hash)
    assert "I want a refund" in str(request)
    assert payloads.load_one(call.response_hash)
    usage = call.usage or {}
    assert call.cost_usd == (Decimal(usage["input"]) + 2 * Decimal(usage["output"])) / 1_000_000
    assert done.cost_usd == call.cost_usd
    assert (done.tokens or {})["output"] == usage["output"]


def test_the_rendered_prompt_is_the_step_s_input() -> None:
    done = run(support(), ticket="I want a refund")
    given: Any = payloads.load_one(StepRun.objects.get(run=done).input_hash)
    assert given["messages"][1] == {"role": "user", "content": "I want a refund"}
    assert (given["prompt"], given["version"]) == ("triage", 1)
    assert Lineage.objects.filter(run=done, kind="prompt", ref="triage@1").exists()


def test_an_answer_that_does_not_fit_is_repaired_once() -> None:
    done = run(support(), ticket="broken")
    assert output(done) == {"severity": 2}
    assert Call.objects.filter(run=done).count() == 2


def test_an_answer_that_never_fits_fails_with_the_reason() -> None:
    done = run(deploy(SUPPORT.replace("repair: 1", "repair: 0"), prompts=TRIAGE, others=FAKE), ticket="never")
    assert done.state == "failed"
    assert (done.error or {})["class"] == "schema_invalid"
    assert done.cost_usd is not None
    assert done.cost_usd > 0  # what failed was paid for too


def test_a_flaky_provider_is_retried_by_the_route_and_then_by_the_step() -> None:
    waiting = start(deploy(FREE, prompts=ANSWER, others=FAKE), q="flaky please")
    for _ in range(4):
        drain()
        wake()
    assert output(waiting) == "there"
    step = StepRun.objects.get(run=waiting)
    assert (step.failures, step.attempts_made) == (2, 3)
    assert Call.objects.filter(run=waiting).count() == 5  # two failed by the route, two again, then one
    check_journal(waiting)


def test_while_it_waits_for_a_retry_the_run_is_waiting() -> None:
    waiting = start(
        deploy(FREE.replace("first: 1ms, max: 2ms", "first: 1h, max: 2h"), prompts=ANSWER, others=FAKE),
        q="flaky",
    )
    drain()
    waiting.refresh_from_db()
    step = StepRun.objects.get(run=waiting)
    assert (waiting.state, step.state, step.reason) == ("waiting", "waiting", "retry")
    assert step.wake_at is not None


def test_a_retrieval_sees_the_snapshot_that_the_run_pinned() -> None:
    apply(WORDS)
    ended(ingest(text("a.txt", "apples are red")))
    asking = start(
        deploy("""
name: ask
steps:
  - {id: find, retrieve: handbook, query: "{{ input.q }}", top_k: 3}
output: "{{ steps.find.output }}"
"""),
        q="which apples are red",
    )
    found: Any = output(ended(asking))
    assert found["snapshot"] == 1
    assert [chunk["document"] for chunk in found["chunks"]] == ["a.txt"]
    assert Lineage.objects.filter(run=asking, kind="snapshot", ref="handbook@1").exists()
    assert Lineage.objects.filter(run=asking, kind="document").count() == 1


def test_an_empty_corpus_fails_the_step_with_what_to_do() -> None:
    apply(WORDS)
    done = run(deploy('name: ask\nsteps: [{id: find, retrieve: handbook, query: "x"}]'))
    assert (done.error or {})["class"] == "corpus_empty"
    assert "Ingest documents into it" in (done.error or {})["message"]


def test_history_is_inserted_and_variables_have_defaults() -> None:
    done = run(
        deploy(
            """
name: talk
steps:
  - {id: history, set: {value: [{role: user, content: hello}, {role: assistant, content: hi}]}}
  - {id: answer, prompt: answer, route: chat, with: {question: "how are you?"}}
output: "{{ steps.answer.output.text }}"
""",
            prompts="""
name: answer
variables: {question: {type: string}, tone: {type: string, default: kindly}}
messages:
  - {role: system, content: "Answer {{ tone }}."}
  - {insert: "{{ steps.history.output.value }}"}
  - {role: user, content: "{{ question }}"}
""",
            others=FAKE,
        )
    )
    given: Any = payloads.load_one(StepRun.objects.get(run=done, path="answer").input_hash)
    assert [message["content"] for message in given["messages"]] == [
        "Answer kindly.",
        "hello",
        "hi",
        "how are you?",
    ]
    assert output(done) == "how are you?"


def test_a_model_whose_answers_never_fit_is_followed_by_the_next_one() -> None:
    second = FAKE.replace("name: fake", "name: better").replace("'still no json'", "'{\"severity\": 4}'")
    both = FAKE.replace("targets: [fake/m]", "targets: [fake/m, better/m]")
    provider = second.split("---")[0].replace(", {name: words, embeds: 64}", "")
    once = SUPPORT.replace("repair: 1", "repair: 0")
    done = run(deploy(once, prompts=TRIAGE, others=f"{provider}---{both}"), ticket="never")
    assert output(done) == {"severity": 4}
    assert (
        list(Call.objects.filter(run=done).order_by("number").values_list("provider", flat=True))[-1]
        == "better"
    )


def test_a_provider_applied_with_a_workflow_is_known_to_its_first_run() -> None:
    """However short ago the process looked for provider documents."""
    deploy(SUPPORT, prompts=TRIAGE, others=FAKE)
    assert run("support", ticket="refund").state == "succeeded"
    second = FAKE.replace("name: fake", "name: second").replace("fake/m", "second/m").replace("chat", "talk")
    deploy(SUPPORT.replace("name: support", "name: sort").replace("chat", "talk"), others=second)
    done = run("sort", ticket="refund")
    assert (done.state, done.error) == ("succeeded", None)


def test_providers_that_are_forgotten_while_they_are_read_are_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forgetting = threading.Thread(target=bundle.forget_providers)
    reads: list[str] = []

    def read(statement: str, values: list[Any]) -> list[Any]:
        reads.append(statement)
        if len(reads) == 1:
            forgetting.start()
            forgetting.join(0.2)
        return []

    monkeypatch.setattr(database, "fetch_all", read)
    bundle.forget_providers()
    bundle.providers()
    forgetting.join()
    bundle.providers()
    assert len(reads) == 2
    bundle.forget_providers()
