"""Every file of examples/ is applied and run, with the scripted provider, and comes to what stands beside it.

An example is two files: NAME.yaml, its documents (its last workflow is started), and NAME.expected.yaml:

    input: …                    what the run is started with
    corpora: {NAME: {FILE: TEXT}}                 what is ingested before
    answers: {ADDRESS: {PATH: JSON}}              what HTTP tools are answered
    functions: [MODULE:NAME]                      what Python tools may call
    commands: {NAME: [MODULE, ARGUMENT, …]}       what MCP tools may start, of this Python
    meanwhile: [time, {approve: FIELDS}, {reject: COMMENT}, {signal: NAME, payload: …}]
    state, output, error: …     what comes of it: succeeded, where no state is given; the class of the error
    steps: {PATH: STATE}        of some of its step runs
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_django import Settings

from tests.engine import OPERATOR, apply, check_journal, drain, output, run, states, wake
from tests.witness import Behaviour, Witness
from workflows import approvals, runs
from workflows.builtin import ingest
from workflows.builtin.ingest import Upload
from workflows.models import Run
from workflows.spec.workflow import STEP_KINDS

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
FILES = sorted(path for path in EXAMPLES.glob("*.yaml") if not path.name.endswith(".expected.yaml"))


@pytest.mark.parametrize("example", FILES, ids=lambda path: path.stem)
def test_an_example_comes_to_what_is_expected_of_it(example: Path, settings: Settings) -> None:
    expected = yaml.safe_load(example.with_suffix(".expected.yaml").read_text())
    settings.TOOL_PYTHON = expected.get("functions", [])
    commands = expected.get("commands", {})
    settings.MCP_COMMANDS = {name: [sys.executable, "-m", *words] for name, words in commands.items()}
    with answered(example.read_text(), expected.get("answers", {}), settings) as text:
        apply(text)
        fill(expected.get("corpora", {}))
        ended = run(started_by(text), **expected["input"])
        for event in expected.get("meanwhile", ()):
            assert ended.state == "waiting", f"before {event} the run is {ended.state}: {ended.error}"
            happen(ended, event)
    assert ended.state == expected.get("state", "succeeded"), ended.error
    assert output(ended) == expected.get("output")
    assert (ended.error or {}).get("class") == expected.get("error")
    assert expected.get("steps", {}).items() <= states(ended).items()
    check_journal(ended)


@contextmanager
def answered(text: str, answers: Mapping[str, Mapping[str, Any]], settings: Settings) -> Iterator[str]:
    """Stand in for the servers that the example's tools call."""
    settings.TOOL_ALLOW = ["127.0.0.1"]
    with Witness() as witness:
        for address, paths in answers.items():
            assert address in text
            text = text.replace(address, witness.url(""))
            for path, body in paths.items():
                witness.behave(path, Behaviour(body=body))
        yield text


def started_by(text: str) -> str:
    """Return the name of the last workflow in a file."""
    return str([body["name"] for body in yaml.safe_load_all(text) if body["kind"] == "Workflow"][-1])


def fill(corpora: Mapping[str, Mapping[str, str]]) -> None:
    for corpus, files in corpora.items():
        uploads = [Upload(name, "text/plain", text.encode()) for name, text in files.items()]
        ingest.start(corpus, actor=OPERATOR, trigger="api", documents=uploads)
        drain()


def happen(waiting: Run, event: Any) -> None:
    """Let what the run waits for come."""
    match event:
        case "time":
            wake()
        case {"approve": fields}:
            asked = approvals.open_ones().get(run=waiting)
            approvals.decide(asked.pk, approved=True, fields=fields, actor=OPERATOR, groups=None)
        case {"reject": comment}:
            asked = approvals.open_ones().get(run=waiting)
            approvals.decide(asked.pk, approved=False, comment=comment, actor=OPERATOR, groups=None)
        case {"signal": name, **rest}:
            runs.signal(waiting.pk, name, rest.get("payload"), actor=OPERATOR)
        case _:
            raise AssertionError(f"nobody knows the event {event}")
    drain()
    waiting.refresh_from_db()


def test_every_kind_of_step_has_an_example() -> None:
    shown: set[str] = set()
    for example in FILES:
        for body in yaml.safe_load_all(example.read_text()):
            shown |= kinds(body) if body["kind"] == "Workflow" else set()
    assert shown == set(STEP_KINDS)


def kinds(value: Any) -> set[str]:
    """Return the kinds of steps that a part of a document holds."""
    if isinstance(value, list):
        return set().union(*map(kinds, value))
    if not isinstance(value, dict):
        return set()
    own = {kind for kind in STEP_KINDS if "id" in value and kind in value}
    return own.union(*map(kinds, value.values()))
