"""A prompt with two versions, a route over a scripted model, and runs that used it; for tests of its pages."""

from __future__ import annotations

from tests import engine
from workflows.models import Run

PROVIDER = """
kind: Provider
name: fake
api: scripted
models: [{name: m, context_tokens: 8000, price: {input: 1, output: 2}}]
rules:
  - {match: "(?i)refund", reply: '{"severity": 5}'}
  - {match: "(?i)broken", reply: "no idea"}
  - {match: "(?i)busy", fault: {status: 503}}
  - {match: "(?i)hello", reply: '{"severity": 2}'}
"""
ROUTE = """
kind: Route
name: chat
targets: [fake/m]
retry: {attempts: 1}
"""
PROMPT = """kind: Prompt
name: triage
variables:
  ticket: {type: string}
messages:
  - {role: system, content: "You sort support tickets by how urgent they are."}
  - {role: user, content: "Ticket: {{ ticket }}"}
params: {temperature: 0}
output:
  type: object
  required: [severity]
  properties:
    severity: {type: integer, minimum: 1, maximum: 5}
"""
WORKFLOW = """
name: support
input: {type: object, required: [ticket], properties: {ticket: {type: string}}}
steps:
  - {id: judge, prompt: triage, route: chat, with: {ticket: "{{ input.ticket }}"}}
output: {severity: "{{ steps.judge.output.severity }}"}
"""


def documents() -> None:
    """Apply the provider, the route, and the prompt in two versions; deploy a workflow that uses it."""
    engine.apply(PROVIDER, ROUTE, PROMPT.replace("by how urgent they are", "into five groups"))
    engine.apply(PROMPT)
    engine.deploy(WORKFLOW)


def runs(*tickets: str) -> list[Run]:
    """Carry out a run for each ticket."""
    return [engine.run("support", ticket=ticket) for ticket in tickets or ("I want a refund", "Hello there")]
