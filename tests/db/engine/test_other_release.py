"""A run moves to another release where its input and its finished outputs fit the schemas that are declared there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.engine import OPERATOR, deploy, drain, run
from tests.witness import Behaviour, Witness
from workflows import recovery
from workflows.errors import Conflict
from workflows.models import JournalEvent, Run
from workflows.replay import forking
from workflows.replay.forking import Ask
from workflows.replay.overriding import Overrides

LOOK = """
kind: Tool
name: look
input: {type: object}
http: {method: POST, url: "URL"}
output: {type: object, properties: {count: {type: integer}}OUTPUT}
effect: read
timeout: 5s
"""
LOOKS = """
name: looks
input: {type: object, properties: {of: {type: string}}REQUIRED}
steps:
  - {id: found, tool: look, with: {}}
  - {id: bad, needs: [found], set: {v: "{{ 1 / 0 }}"}}
output: "{{ steps.found.output.count }}"
"""
MENDED = LOOKS.replace("1 / 0", "1")


@pytest.fixture
def witness(settings: Settings) -> Iterator[Witness]:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    with Witness() as found:
        found.behave("/look", *[Behaviour(body={"count": 3})] * 4)
        yield found


def made(witness: Witness, workflow: str = LOOKS, *, output: str = "", required: str = "") -> str:
    """Deploy a release; `output`, `required`: what its tool's output, its input must have besides."""
    tool = LOOK.replace("URL", witness.url("/look")).replace("OUTPUT", output)
    return deploy(workflow.replace("REQUIRED", required), tools=tool)


def failed(witness: Witness) -> Run:
    broken = run(made(witness), of="x")
    assert broken.state == "failed"
    return broken


def refused(broken: Run, *told: str) -> None:
    with pytest.raises(Conflict) as retried:
        recovery.retry(broken.pk, actor=OPERATOR, release=2)
    assert retried.value.code == "release_does_not_fit"
    for each in told:
        assert each in retried.value.message
    with pytest.raises(Conflict, match="release"):
        recovery.preview(broken.pk, release=2)
    broken.refresh_from_db()
    assert (broken.state, broken.release.number) == ("failed", 1)
    assert not JournalEvent.objects.filter(run=broken, type="run.retried").exists()


def test_a_kept_output_that_does_not_fit_what_its_step_declares_there_is_refused(witness: Witness) -> None:
    broken = failed(witness)
    made(witness, MENDED, output=", required: [source]")
    refused(broken, "found: output", "source")
    recovery.retry(broken.pk, actor=OPERATOR, release=2, from_step="found")
    broken.refresh_from_db()
    assert broken.release.number == 2, "what runs again is not judged"


def test_the_place_in_the_output_is_named(witness: Witness) -> None:
    broken = failed(witness)
    made(witness, MENDED.replace("steps.found.output.count", "1"), output=", maxProperties: 9")
    recovery.preview(broken.pk, release=2)
    narrow = LOOK.replace("URL", witness.url("/look")).replace("type: integer", "type: string")
    deploy(MENDED.replace("REQUIRED", ""), tools=narrow.replace("OUTPUT", ""))
    with pytest.raises(Conflict, match=r"found: output\.count: "):
        recovery.retry(broken.pk, actor=OPERATOR, release=3)


def test_an_input_that_does_not_fit_there_is_refused(witness: Witness) -> None:
    broken = failed(witness)
    made(witness, MENDED, required=", required: [language]")
    refused(broken, "input", "language", "Start a new run.")


def test_what_fits_goes_on(witness: Witness) -> None:
    broken = failed(witness)
    made(witness, MENDED, output=", required: [count]", required=", required: [of]")
    recovery.retry(broken.pk, actor=OPERATOR, release=2)
    drain()
    broken.refresh_from_db()
    assert (broken.state, broken.release.number) == ("succeeded", 2)


def test_a_fork_onto_another_release_is_held_against_the_same(witness: Witness) -> None:
    broken = failed(witness)
    made(witness, MENDED, output=", required: [source]")
    made(witness, MENDED, required=", required: [language]")
    for number, place in ((2, "found: output"), (3, "input")):
        with pytest.raises(Conflict, match=place):
            forking.fork(broken.pk, Ask(from_step="bad", overrides=Overrides(release=number)), actor=OPERATOR)
    given = Overrides(release=3, input={"language": "en"})
    forked = forking.fork(broken.pk, Ask(from_step="bad", overrides=given), actor=OPERATOR)
    assert forked.release.number == 3
