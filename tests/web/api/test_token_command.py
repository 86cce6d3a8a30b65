"""`manage.py token create`: the last line of standard output is the token and nothing else."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from console.models import ApiToken
from tests.web.api.conftest import Api
from tests.workers import ROOT, database_url


def _manage(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url()},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_last_line_is_a_token_that_works(transactional_db: None) -> None:
    done = _manage("token", "create", "--name", "billing", "--role", "viewer", "--expires", "2d")
    assert done.returncode == 0, done.stderr
    assert Api(done.stdout.splitlines()[-1]).get("/runs").status_code == 200
    assert "billing" in done.stderr
    assert "ilk_" not in done.stderr


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--name", "a", "--role", "owner"), "invalid choice: 'owner'"),
        (("--name", "a", "--expires", "soon"), "12h, 90d"),
        (("--name", "a", "--expires", "2001-01-01"), "which is past"),
        (("--name", ""), "1 to 100 printable"),
        (("--role", "viewer"), "--name"),
    ],
)
def test_wrong_arguments_make_no_token(arguments: tuple[str, ...], says: str) -> None:
    out = io.StringIO()
    with pytest.raises(CommandError, match=says):
        call_command("token", "create", *arguments, stdout=out)
    assert out.getvalue() == ""
    assert not ApiToken.objects.exists()


@pytest.mark.django_db
def test_a_name_that_is_taken_is_refused() -> None:
    call_command("token", "create", "--name", "ci")
    with pytest.raises(CommandError, match="'ci' already"):
        call_command("token", "create", "--name", "ci")
    assert ApiToken.objects.get().created_by.startswith("system:cli:")


@pytest.mark.django_db
@pytest.mark.parametrize("expires", ["never", "12h", "4w", "2199-01-31", "2199-01-31T10:00:00+02:00"])
def test_an_expiry_can_be_said_in_several_ways(expires: str) -> None:
    call_command("token", "create", "--name", "ci", "--expires", expires)
    assert (ApiToken.objects.get().expires_at is None) is (expires == "never")
