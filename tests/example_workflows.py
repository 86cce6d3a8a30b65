"""A workflow with parallel steps, a branch and a map, in two versions, and runs of it; for tests of its pages."""

from __future__ import annotations

from tests import engine
from workflows.models import Run

OTHERS = """
kind: Provider
name: desk
api: scripted
models: [{name: m, context_tokens: 8000, price: {input: 20, output: 60}}]
rules:
  - {match: "(?i)storm", reply: '{"severity": 5}'}
  - {match: "(?i)broken", reply: "no idea"}
  - {match: "(?i)claim", reply: '{"severity": 2}'}
---
kind: Route
name: desk-chat
targets: [desk/m]
retry: {attempts: 1}
---
kind: Prompt
name: assess
variables: {claim: {type: string}}
messages:
  - {role: system, content: "You rate claims by how severe they are."}
  - {role: user, content: "Claim: {{ claim }}"}
params: {temperature: 0}
output: {type: object, required: [severity], properties: {severity: {type: integer, minimum: 1, maximum: 5}}}
---
kind: Prompt
name: summarise
variables: {claim: {type: string}}
messages: [{role: user, content: "Summarise the claim: {{ claim }}"}]
"""
FIRST = """kind: Workflow
name: claims
input:
  type: object
  required: [claim]
  properties:
    claim: {type: string, title: Claim, minLength: 3}
    photos: {type: array, title: Photos, items: {type: string}, default: []}
steps:
  - id: assess
    needs: []
    prompt: assess
    route: desk-chat
    with: {claim: "{{ input.claim }}"}
  - id: summary
    needs: []
    prompt: summarise
    route: desk-chat
    with: {claim: "{{ input.claim }}"}
  - id: pictures
    needs: []
    map:
      over: input.photos
      as: photo
      steps:
        - {id: describe, prompt: summarise, route: desk-chat, with: {claim: "{{ photo }}"}}
        - {id: keep, set: {words: "{{ steps.describe.output.text }}"}}
  - id: decide
    needs: [assess, summary]
    branch:
      - when: steps.assess.output.severity >= 4
        steps:
          - {id: escalate, set: {to: people}}
      - else:
        steps:
          - {id: close, set: {to: nobody}}
  - id: report
    needs: [pictures, decide]
    set:
      severity: "{{ steps.assess.output.severity }}"
      text: "{{ steps.summary.output.text }}"
output: {severity: "{{ steps.assess.output.severity }}"}
"""
_ESCALATE = "          - {id: escalate, set: {to: people}}\n"
_KEEP = '        - {id: keep, set: {words: "{{ steps.describe.output.text }}"}}\n'
SECOND = (
    FIRST.replace("severity >= 4", "severity >= 3")
    .replace(_ESCALATE, f"{_ESCALATE}          - {{id: notify, set: {{told: true}}}}\n")
    .replace(_KEEP, "")
)


def documents() -> None:
    """Apply the workflow in two versions, with what it names; the second is deployed."""
    engine.apply(OTHERS)
    engine.apply(FIRST)
    engine.deploy(SECOND)


def runs(*claims: str) -> list[Run]:
    """Carry out a run for each claim."""
    texts = claims or ("Claim after a storm", "A claim for a bicycle", "It is broken", "Another claim")
    return [engine.run("claims", claim=text, photos=["claim one", "claim two"]) for text in texts]
