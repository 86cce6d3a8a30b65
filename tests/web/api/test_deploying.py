"""`manage.py deploy`: as it is typed; the exit status is the outcome."""

from __future__ import annotations

import pytest

from tests import rolling
from tests.web.api.test_commands import manage
from tests.workers import Workers
from workflows.models import Deployment, Rollout

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_rollout_is_followed_until_it_has_taken_over(worker: Workers) -> None:
    rolling.releases()
    rolling.environment(steps=[{"weight": 50}, {"pause": {"for": "1s"}}, {"weight": 100}])
    worker.start()
    done = manage("deploy", "echo", "--release", "2", "--wait", "--reason", "better")
    assert done.returncode == 0, done.stderr
    row = Rollout.objects.get()
    assert done.stdout.strip() == str(row.pk)
    assert "step 2 of 3, weight 50 %" in done.stderr
    assert "succeeded" in done.stderr
    assert Deployment.objects.get(workflow="echo").stable.number == 2


def test_one_that_is_rolled_back_is_exit_status_1(worker: Workers) -> None:
    rolling.releases()
    rolling.environment(
        steps=[{"weight": 50}, {"analysis": "errors"}],
        errors={"count": 1, "interval": "500ms", "inconclusive": "rollback"},
    )
    worker.start()
    done = manage("deploy", "echo", "--release", "2", "--wait")
    assert done.returncode == 1, done.stderr
    assert "at least 20 are needed" in done.stderr


def test_at_once_nothing_is_waited_for() -> None:
    rolling.releases()
    done = manage("deploy", "echo", "--release", "2", "--now")
    assert (done.returncode, done.stdout) == (0, "")
    assert Deployment.objects.get(workflow="echo").stable.number == 2
    again = manage("deploy", "echo", "--release", "2")
    assert again.returncode == 1
    assert "has no rollout steps" in again.stderr
    assert "Traceback" not in again.stderr
