"""`manage.py run, runs, show, retry, cancel`: as they are typed, against a real worker where runs have to end."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests import engine
from tests.web.api.test_retry import FAILING
from tests.web.api.test_start import ADD
from tests.workers import ROOT, Workers, database_url, until
from workflows.models import Run


def manage(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url()},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_run_is_followed_to_its_output(worker: Workers) -> None:
    engine.deploy(ADD)
    worker.start()
    done = manage("run", "add", "--input", '{"a": 41}', "--wait")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"total": 42}
    assert "sum" in done.stderr
    assert "succeeded" in done.stderr


def test_a_failed_run_is_exit_status_1_and_says_why(worker: Workers) -> None:
    engine.deploy(FAILING)
    worker.start()
    done = manage("run", "failing", "--wait")
    assert (done.returncode, done.stdout) == (1, "")
    assert "failed at bad" in done.stderr
    assert "Traceback" not in done.stderr
    again = manage("retry", Run.objects.get().pk, "--wait", "--reason", "perhaps now")
    assert again.returncode == 1


@pytest.fixture
def watching(transactional_db: None, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`run add --wait` that has started its run, which no worker works on."""
    engine.deploy(ADD)
    log = tmp_path / "stderr"
    with (
        log.open("w") as file,
        subprocess.Popen(
            [sys.executable, "manage.py", "run", "add", "--input", '{"a": 1}', "--wait"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url()},
            stderr=file,
            # Tests that run in the background of a shell ignore Ctrl-C, and what they start would too.
            preexec_fn=_hear_ctrl_c,
        ) as process,
    ):
        until(lambda: "Run r_" in log.read_text(), within_s=30, what="the run is started")
        yield process
        process.kill()


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_cancelled_run_is_exit_status_3(watching: subprocess.Popen[bytes]) -> None:
    call_command("cancel", Run.objects.get().pk)
    assert watching.wait(30) == 3


def test_ctrl_c_stops_watching_and_not_the_run(watching: subprocess.Popen[bytes]) -> None:
    watching.send_signal(signal.SIGINT)
    assert watching.wait(30) == 130
    assert Run.objects.get().state == "queued"


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("run", "nothing"), 1, "There is no workflow nothing"),
        (("run", "add"), 1, "does not fit the input schema"),
        (("run", "add", "--input", "{"), 2, "not JSON"),
        (("run", "add", "--input", "NaN"), 2, "NaN"),
        (("run", "add", "--input", "@/no/such/file"), 2, "cannot be read"),
        (("run", "add", "--input", "@/tmp"), 2, "cannot be read"),
        (("run",), 2, "workflow"),
        (("show", "r_none"), 1, "There is no run r_none"),
        (("cancel", "r_none"), 1, "There is no run r_none"),
        (("retry", "r_none"), 1, "There is no run r_none"),
        (("runs", "--state", "broken"), 2, "state"),
        (("runs", "--limit", "0"), 2, "limit"),
        (("runs", "--since", "yesterday"), 2, "since"),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    transactional_db: None, arguments: tuple[str, ...], status: int, says: str
) -> None:
    engine.deploy(ADD)
    told = io.StringIO()
    with pytest.raises(CommandError) as refused:
        call_command(*arguments, stdout=io.StringIO(), stderr=told)
    assert refused.value.returncode == status or type(refused.value) is CommandError
    assert says in str(refused.value) + told.getvalue()


def test_a_refusal_has_no_traceback_and_its_exit_status(transactional_db: None) -> None:
    engine.deploy(ADD)
    done = manage("run", "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: There is no workflow nothing")
    assert done.stderr.count("\n") == 1
    wrong = manage("run", "add", "--input", "{")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_a_database_that_is_away_is_one_clear_line() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "runs"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "database does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def _told(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_runs_are_listed_and_shown(transactional_db: None) -> None:
    engine.deploy(ADD)
    run = engine.run("add", a=1)
    listed = _told("runs")
    assert run.pk in listed
    assert "succeeded" in listed
    assert json.loads(_told("runs", "--json", "--workflow", "add"))["output"] == {"total": 2}
    assert _told("runs", "--state", "failed") == ""
    shown = _told("show", run.pk)
    assert "sum" in shown
    assert '"total": 2' in shown
    assert json.loads(_told("show", run.pk, "--json"))["id"] == run.pk


def test_several_runs_are_cancelled_and_the_rest_is_said(transactional_db: None) -> None:
    engine.deploy(ADD)
    ended, going = engine.run("add", a=2), engine.start("add", a=3)
    out, told = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError, match="1 of 2 runs"):
        call_command("cancel", going.pk, ended.pk, "--reason", "tidy", stdout=out, stderr=told)
    assert going.pk in out.getvalue()
    assert f"Run {ended.pk} is succeeded" in told.getvalue()


def test_without_wait_only_the_id_is_printed(transactional_db: None) -> None:
    engine.deploy(ADD)
    arguments = ("run", "add", "--input", '{"a": 1}', "--key", "k")
    first, again = _told(*arguments), _told(*arguments)
    assert first == again == f"{Run.objects.get().pk}\n"


def test_input_may_come_from_a_file(transactional_db: None, tmp_path: Path) -> None:
    engine.deploy(ADD)
    file = tmp_path / "input.json"
    file.write_text('{"a": 7}')
    assert _told("run", "add", "--input", f"@{file}").startswith("r_")


def test_input_may_come_from_standard_input(transactional_db: None) -> None:
    engine.deploy(ADD)
    assert manage("run", "add", "--input", "@-", stdin='{"a": 8}').returncode == 0
