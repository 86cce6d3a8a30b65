"""What is quarantined is not walked around: by a start, a rollout, a retry or a fork that names it."""

from __future__ import annotations

from typing import Any

import pytest

from tests import rolling
from tests.db.bulk.test_forks import GREETS
from tests.db.engine.test_forks import OTHERS
from tests.db.quarantine.test_children import CALLS, CLEAN, live_of
from tests.db.quarantine.test_quarantine import impose, looks
from tests.engine import OPERATOR, deploy, drain, output, run
from workflows import quarantine, recovery, runs
from workflows.errors import Conflict
from workflows.models import Quarantine, Release, Rollout, Run
from workflows.releases import rollouts
from workflows.replay import forking
from workflows.replay.overriding import Overrides


@pytest.fixture
def back() -> str:
    """A workflow with a bad release 1, and a clean release 2 that is live; return what is quarantined."""
    deploy(GREETS, others=OTHERS)
    deploy(GREETS, others=CLEAN)
    impose("prompt", "greet@1")
    return "prompt greet@1 is quarantined"


def order(release: int | None) -> runs.Order:
    return runs.Order(workflow="greets", input={"of": "ann"}, release=release)


def test_no_run_is_started_on_it_by_its_number(back: str) -> None:
    with pytest.raises(
        Conflict, match=f"No run is started on release 1 of greets: {back}. Start it"
    ) as refused:
        runs.start(order(1), actor=OPERATOR, trigger="api")
    assert refused.value.code == "release_quarantined"
    assert not Run.objects.exists()
    assert runs.start(order(2), actor=OPERATOR, trigger="api").created


def test_what_is_deployed_since_before_still_takes_runs() -> None:
    deploy(GREETS, others=OTHERS)
    found = impose("prompt", "greet@1")
    assert output(run("greets", of="ann")) == "plain"
    assert live_of(found) == {"greets"}


def test_a_repeated_request_still_finds_the_run_that_it_started(back: str) -> None:
    quarantine.release(Quarantine.objects.get().pk, actor=OPERATOR, reason="a try")
    first = runs.start(order(1), actor=OPERATOR, trigger="api", idempotency_key="k")
    impose("prompt", "greet@1")
    again = runs.start(order(1), actor=OPERATOR, trigger="api", idempotency_key="k")
    assert (again.created, again.run.pk) == (False, first.run.pk)


def test_a_retry_does_not_move_to_it_and_goes_on_where_the_run_was(back: str) -> None:
    clean = runs.start(order(2), actor=OPERATOR, trigger="api").run
    runs.cancel(clean.pk, actor=OPERATOR)
    told = f"Run {clean.pk} does not go on with release 1 of greets: {back}. Choose a release"
    with pytest.raises(Conflict, match=told):
        recovery.retry(clean.pk, actor=OPERATOR, release=1)
    with pytest.raises(Conflict, match=told):
        recovery.preview(clean.pk, release=1)
    clean.refresh_from_db()
    assert (clean.state, clean.release.number) == ("cancelled", 2)
    impose("prompt", "greet@2")
    recovery.retry(clean.pk, actor=OPERATOR, release=2)
    drain()
    assert output(clean) == "LOUD"


def forked(of: Run, **overrides: Any) -> Run:
    found = forking.fork(of.pk, forking.Ask(overrides=Overrides(**overrides)), actor=OPERATOR)
    drain()
    return found


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"release": 1}, "does not go on with release 1 of greets: prompt greet@1 is quarantined"),
        ({"prompts": {"greet": 1}}, "The fork does not get Prompt greet@1: it is quarantined"),
    ],
)
def test_a_fork_gets_neither_the_release_nor_the_version(
    back: str, overrides: dict[str, Any], told: str
) -> None:
    done = run("greets", of="ann")
    with pytest.raises(Conflict, match=told):
        forked(done, **overrides)
    assert not Run.objects.filter(trigger="fork").exists()
    assert not Release.objects.filter(workflow__startswith="fork/").exists()


def test_a_fork_of_a_run_that_used_it_may_have_what_the_run_had(back: str) -> None:
    done = run("greets", of="ann")
    impose("prompt", "greet@2")
    assert output(forked(done)) == "LOUD"
    assert output(forked(done, release=2, prompts={"greet": 2})) == "LOUD"
    mended = {"messages": [{"role": "user", "content": "you are m: {{ of }}"}]}
    assert output(forked(done, prompts={"greet": mended})) == "plain"


def test_a_fork_does_not_get_a_snapshot_that_is_quarantined() -> None:
    done = run(looks())
    impose("snapshot", "handbook@1")
    with pytest.raises(Conflict, match="The fork does not get snapshot handbook@1: it is quarantined"):
        forked(done, snapshots={"handbook": 1})
    assert forked(done, snapshots={"handbook": 2}).pins == {"handbook": 2}


def test_a_rollout_of_it_and_of_its_parent_is_refused() -> None:
    deploy(GREETS, others=OTHERS)
    deploy(CALLS)
    deploy(CALLS, others=CLEAN)
    impose("prompt", "greet@1")
    rolling.environment()
    ask = rollouts.Ask(workflow="calls", environment="production", release=1, strategy="rollout")
    with pytest.raises(Conflict, match="in release 1 of its child workflow greets is quarantined"):
        rollouts.deploy(ask, actor=OPERATOR, now=rolling.now())
    assert not Rollout.objects.exists()
