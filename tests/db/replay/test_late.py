"""Words that come late, about a step run that another has replaced, change nothing in a replay."""

from __future__ import annotations

from tests.db.engine.test_leases import finish
from tests.engine import OPERATOR, check_journal, claim, deploy, drain, expire, start
from tests.engine import run as work_off
from workflows import recovery
from workflows.engine.outcomes import Failed, StepError, Succeeded
from workflows.replay import verify

FLOW = """
name: tidied
steps: [{id: a, set: {v: "{{ input.missing.value }}"}}]
finally: [{id: tidy, set: {done: true}}]
"""


def test_a_late_word_on_a_step_at_the_end_before_the_run_closes_again() -> None:
    name = deploy(FLOW)
    error = work_off(name).steps.get(path="a").error
    assert error
    run = start(name)
    finish(claim(), Failed(error=StepError(error_class=error["class"], message=error["message"])))
    frozen = claim()
    assert frozen.path == "tidy"
    expire()
    drain()
    recovery.retry(run.pk, actor=OPERATOR, reason="mended")
    assert not finish(frozen, Succeeded(output={"done": True})).applied
    drain()
    run.refresh_from_db()
    assert run.state == "failed"
    check_journal(run)
    found = verify.replay(run.pk)
    assert found.verdict == "identical", found.divergences
