"""How the body of a Workflow document becomes the values that the engine walks."""

import pytest

from workflows.spec import workflow
from workflows.spec.step_bodies import PromptBody, RetrieveBody, SetBody
from workflows.spec.workflow import BranchBody, MapBody, RetryDef

BODY = {
    "kind": "Workflow",
    "name": "support",
    "input": {"type": "object"},
    "deadline": "8h",
    "steps": [
        {
            "id": "triage",
            "prompt": "triage",
            "route": "chat",
            "with": {"t": "{{ input.t }}"},
            "timeout": "90s",
        },
        {"id": "search", "needs": [], "retrieve": "handbook", "query": "{{ input.ticket }}", "top_k": 6},
        {
            "id": "decide",
            "needs": ["triage", "search"],
            "branch": [
                {
                    "when": "steps.triage.output.severity >= 4",
                    "steps": [
                        {"id": "note", "set": {"text": "{{ steps.search.output.chunks }}"}},
                        {"id": "pay", "tool": "refund", "retry": {"first": "1s", "on": ["timeout"]}},
                    ],
                },
                {"else": None, "steps": [{"id": "answer", "prompt": "answer", "route": "chat", "repair": 2}]},
            ],
        },
        {
            "id": "score",
            "map": {
                "over": "steps.search.output.chunks",
                "as": "chunk",
                "output": "{{ steps.judge.output }}",
                "steps": [{"id": "judge", "when": "index < 3", "set": {"n": "{{ chunk.score }}"}}],
            },
            "on_error": "continue",
        },
    ],
    "output": {"severity": "{{ steps.triage.output.severity }}"},
}


def test_needs_are_resolved_to_the_step_before() -> None:
    definition = workflow.parse(BODY)

    assert [(step.id, step.needs) for step in definition.steps] == [
        ("triage", ()),
        ("search", ()),
        ("decide", ("triage", "search")),
        ("score", ("decide",)),
    ]
    assert definition.step("note").needs == ()
    assert definition.step("pay").needs == ("note",)
    assert definition.step("answer").needs == ()


def test_reads_are_the_steps_that_a_steps_own_expressions_name() -> None:
    definition = workflow.parse(BODY)

    assert {step.id: set(step.reads) for step in workflow.walk(definition.steps) if step.reads} == {
        "decide": {"triage"},
        "note": {"search"},
        "score": {"search"},
    }
    assert definition.output_reads == {"triage"}


def test_bodies_carry_their_own_fields_and_defaults() -> None:
    definition = workflow.parse(BODY)

    answer, search, score = (definition.step(id).body for id in ("answer", "search", "score"))
    assert answer == PromptBody(prompt="answer", route="chat", repair=2)
    assert search == RetrieveBody(corpus="handbook", query="{{ input.ticket }}", top_k=6)
    assert isinstance(score, MapBody)
    assert (score.as_, set(score.output_reads)) == ("chunk", {"judge"})
    assert isinstance(definition.step("decide").body, BranchBody)
    assert definition.step("note").body == SetBody(values={"text": "{{ steps.search.output.chunks }}"})


def test_durations_are_seconds() -> None:
    definition = workflow.parse(BODY)

    assert definition.deadline_s == 8 * 3600
    assert definition.step("triage").timeout_s == 90
    assert definition.step("pay").retry == RetryDef(attempts=3, first_s=1, max_s=8, on=frozenset({"timeout"}))


def test_unknown_step_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        workflow.parse(BODY).step("nope")
