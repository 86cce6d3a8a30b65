"""`manage.py replay` as a gate before new code is deployed, and `manage.py record`: what they print, how they end."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests import engine
from tests.db.replay.test_transfer import forget
from tests.web.api.test_replay import two
from workflows import database, payloads
from workflows.models import AuditEntry, Run
from workflows.step_kinds import set_values


@pytest.fixture(autouse=True)
def _real(transactional_db: None) -> None:
    """The engine commits on connections of its own."""


def ended(*arguments: str) -> tuple[int, str, str]:
    """Return how a command ends, and what it prints: results, and what else it says."""
    out, told, status = io.StringIO(), io.StringIO(), 0
    try:
        call_command(*arguments, stdout=out, stderr=told)
    except SystemExit as end:
        status = int(str(end.code))
    return status, out.getvalue(), told.getvalue()


def newest(*more: str) -> tuple[int, str, str]:
    return ended("replay", "--workflow", "two", "--last", "10", *more)


def changed_for(n: int) -> object:
    """Return a `set` step as new code has it that gets one input wrong."""

    def prepare(*given: Any) -> dict[str, Any]:
        found = set_values.prepare(*given)
        return {key: value + 1 if value == n else value for key, value in found.items()}

    return replace(set_values.KIND, prepare=prepare)


def lose_input(of: Run) -> None:
    database.fetch_all("DELETE FROM workflows_payload WHERE hash = $1 RETURNING hash", [bytes(of.input_hash)])
    payloads._cache.items.clear()


def test_one_that_diverges_among_identical_ones_closes_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = {n: two(n).pk for n in (2, 7, 3)}
    assert newest()[0] == 0
    monkeypatch.setattr("workflows.engine.attempt.LEAVES", {"set": changed_for(7)})
    status, out, told = newest()
    assert (status, told.strip()) == (1, "1 diverged, 2 identical")
    verdicts = dict(line.split()[:2] for line in out.splitlines() if line.startswith("r_"))
    assert verdicts == {runs[2]: "identical", runs[3]: "identical", runs[7]: "diverged"}
    assert ended("replay", "--workflow", "two", "--last", "1")[0] == 0  # it is not the newest


def test_one_that_is_incomplete_closes_the_gate_unless_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    two(2)
    lose_input(two(3))
    status, out, told = newest()
    assert (status, told.strip()) == (1, "1 identical, 1 incomplete")
    assert "missing:" in out
    assert newest("--incomplete")[0] == 0
    monkeypatch.setattr("workflows.engine.attempt.LEAVES", {"set": changed_for(2)})
    assert newest("--incomplete")[0] == 1


def test_what_is_asked_for_has_to_be_there() -> None:
    for arguments, says, status in (
        ((), "Name runs, or a --workflow", 2),
        (("r_x", "--workflow", "two"), "Name runs, or a --workflow", 2),
        (("--workflow", "two"), "has no run that has ended", 1),
        (("r_none",), "r_none", 1),
    ):
        with pytest.raises(CommandError, match=says) as refused:
            call_command("replay", *arguments, stdout=io.StringIO(), stderr=io.StringIO())
        assert refused.value.returncode == status


def exported(run: Run, *more: str) -> dict[str, Any]:
    packed: dict[str, Any] = json.loads(ended("record", "export", run.pk, *more)[1])
    return packed


def test_a_run_that_was_exported_to_a_file_is_taken_in_and_replays(tmp_path: Path) -> None:
    run, file = two(3), tmp_path / "run.json"
    file.write_text(ended("record", "export", run.pk)[1])
    forget()
    status, out, _ = ended("record", "import", str(file))
    assert (status, out.strip()) == (0, f"Run {run.pk} is here. Replay it: manage.py replay {run.pk}")
    assert ended("replay", run.pk)[0] == 0
    assert Run.objects.get().environment_id == "imported"
    with pytest.raises(CommandError, match="is here already"):
        call_command("record", "import", str(file))


def test_what_is_redacted_is_not_in_the_exported_file() -> None:
    engine.deploy('name: mail\ninput: {type: object}\nsteps: [{id: a, set: {to: "{{ input.to }}"}}]\n')
    run = engine.run("mail", to="ann@example.com")
    assert "ann@example.com" in json.dumps(exported(run))
    assert "ann@example.com" not in json.dumps(exported(run, "--redact", "to"))
    with pytest.raises(CommandError, match="nobody"):
        call_command("record", "export", run.pk, "--redact", "nobody")


def test_a_file_that_cannot_be_taken_in_is_refused_in_one_line_and_nothing_is_changed(tmp_path: Path) -> None:
    packed, file = exported(two(3)), tmp_path / "run.json"
    forget()
    first = next(iter(packed["values"]))
    for text, says in (
        (None, "cannot be read: No such file"),
        (json.dumps(packed)[:-9], "is not JSON"),
        (json.dumps({**packed, "values": {**packed["values"], first: "other"}}), "is damaged"),
        (json.dumps({**packed, "version": 2}), "Take it in with a newer one"),
        (json.dumps({**packed, "version": 0}), "Export the run anew"),
        ("{}", "no file of a packed run"),
    ):
        if text is not None:
            file.write_text(text)
        with pytest.raises(CommandError, match=says) as refused:
            call_command("record", "import", str(file))
        assert (refused.value.returncode, str(refused.value).count("\n")) == (1, 0)
    assert not Run.objects.exists()
    assert not AuditEntry.objects.filter(action="run.import").exists()


def test_a_run_that_goes_on_is_not_exported() -> None:
    waiting = engine.run(engine.deploy("name: w\nsteps: [{id: a, wait: {signal: s}}]\n"))
    with pytest.raises(CommandError, match="once it has ended"):
        call_command("record", "export", waiting.pk)
