"""Runs that the engine really made, so that they replay: one, its fork with another prompt, and one that failed."""

from __future__ import annotations

from unittest.mock import patch

from tests import engine
from workflows.engine import bundle
from workflows.models import Run
from workflows.replay import forking
from workflows.replay.overriding import Overrides

PARENT, FORK, FAILED = "r_0000000000970", "r_0000000000971", "r_0000000000972"
OTHERS = """
kind: Provider
name: example
api: scripted
models: [{name: small, context_tokens: 8000, price: {input: 150, output: 600}}, {name: large, context_tokens: 8000}]
rules:
  - {match: "Be brief", reply: "You have 30 days. Ask your manager for the form."}
  - {reply: "You are entitled to 30 days of leave in each calendar year. The form is on the intranet."}
---
{kind: Route, name: answers, targets: [example/small]}
---
kind: Prompt
name: leave-answer
variables: {question: {type: string}}
messages:
  - {role: system, content: "You answer questions about leave."}
  - {role: user, content: "{{ question }}"}
"""
WORKFLOW = """
name: leave-questions
input: {type: object, required: [question], properties: {question: {type: string}, days: {type: integer}}}
steps:
  - {id: question, set: {text: "{{ input.question | trim }}"}}
  - id: answer
    needs: [question]
    prompt: leave-answer
    with: {question: "{{ steps.question.output.text }}"}
    route: answers
  - {id: words, needs: [answer], set: {count: "{{ steps.answer.output.text | wordcount }}"}}
  - {id: share, needs: [words], set: {of_year: "{{ 1 / input.days }}"}, when: "input.days is defined"}
output: {answer: "{{ steps.answer.output.text }}", words: "{{ steps.words.output.count }}"}
"""


def fill() -> None:
    """Make the three runs."""
    bundle.forget_providers()
    name = engine.deploy(WORKFLOW, others=OTHERS)
    parent = _run(name, PARENT, question="How many days of leave do I have?")
    shorter = {"messages": [{"role": "user", "content": "Be brief. {{ question }}"}]}
    with patch("workflows.replay.forking.new_run_id", lambda: FORK):
        ask = forking.Ask(from_step="answer", overrides=Overrides(prompts={"leave-answer": shorter}))
        forking.fork(parent.pk, ask, actor=engine.OPERATOR)
    _run(name, FAILED, question="What share of the year is that?", days=0)


def _run(name: str, id: str, **given: object) -> Run:
    with patch("workflows.orders.new_run_id", lambda: id):
        engine.start(name, **given)
    engine.drain()
    return Run.objects.get(pk=id)
