"""Rollouts: the clock leads them on, people lead them otherwise, and nothing happens twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import engine, rolling
from tests.rolling import ANNA, BEN
from workflows import definitions, quarantine, recovery
from workflows.builtin import setup
from workflows.errors import Conflict, Invalid, Refused, UnknownObject
from workflows.models import AuditEntry, Deployment, Environment, Measurement, Rollout, Run
from workflows.quarantine import Ask
from workflows.releases import deployments, environments, machine, rollouts, tending
from workflows.spec.documents import SourceText


def stable() -> int:
    return Deployment.objects.get(workflow="echo", environment="production").stable.number


def test_a_good_candidate_takes_over_step_by_step() -> None:
    rolling.releases()
    rolling.environment()
    row = rolling.deploy(now=rolling.now())
    assert rolling.shown(row) == ("running", 0, 20.0)
    rolling.until_still(rolling.now())
    assert rolling.shown(row) == ("running", 1, 20.0)
    rolling.ended_runs(row, "stable", 100, failed=2)
    rolling.ended_runs(row, "candidate", 25)
    assert tending.tick(rolling.now()) == 0  # the first measurement is due after a minute
    rolling.until_still(rolling.after(61))
    row.refresh_from_db()
    assert (row.looks, row.verdict) == (1, "pass")
    rolling.until_still(rolling.after(150))
    assert rolling.shown(row) == ("paused", 3, 50.0)
    assert row.paused_for == machine.GATE
    assert stable() == 1
    rollouts.promote(row.pk, actor=BEN, reason="looks well", now=rolling.now())
    rolling.until_still(rolling.now())
    assert rolling.shown(row) == ("succeeded", 5, 100.0)
    assert stable() == 2
    assert Measurement.objects.filter(rollout=row, verdict="pass").count() == 2


def test_a_bad_candidate_is_rolled_back_with_numbers_in_words() -> None:
    rolling.releases()
    rolling.environment()
    row = rolling.deploy(now=rolling.now())
    rolling.until_still(rolling.now())
    rolling.ended_runs(row, "stable", 160, failed=2)
    rolling.ended_runs(row, "candidate", 40, failed=14)
    rolling.until_still(rolling.after(61))
    assert rolling.shown(row) == ("rolled_back", 1, 0.0)
    assert "35 % of 40 candidate runs, 1.25 % of 160 stable ones: +33.8 points" in row.note
    assert stable() == 1
    assert engine.output(engine.run("echo", who="x")) == 1
    entry = AuditEntry.objects.get(action="rollout.roll_back")
    assert (entry.actor, entry.object_id, entry.data["weight"]) == ("system:interlock", str(row.pk), 0.0)


def test_too_few_runs_pause_and_never_pass() -> None:
    rolling.releases()
    rolling.environment()
    row = rolling.deploy(now=rolling.now())
    rolling.until_still(rolling.now())
    rolling.ended_runs(row, "stable", 100)
    rolling.ended_runs(row, "candidate", 19)
    for minute in (61, 122):
        rolling.until_still(rolling.after(minute))
    assert rolling.shown(row) == ("paused", 1, 20.0)
    assert row.paused_for == machine.INCONCLUSIVE
    assert "19 candidate and 100 stable runs so far; at least 20 are needed" in row.note


def test_inconclusive_measurements_may_go_on_as_long_as_the_limit_says() -> None:
    rolling.releases()
    rolling.environment(errors={"inconclusive_limit": 2, "inconclusive": "rollback"})
    row = rolling.deploy(now=rolling.now())
    rolling.until_still(rolling.now())
    for number in range(1, 4):
        rolling.until_still(rolling.after(61 * number))
        assert rolling.shown(row)[0] == "running"
    rolling.until_still(rolling.after(61 * 4))
    assert rolling.shown(row) == ("rolled_back", 1, 0.0)


def test_failed_measurements_are_borne_up_to_the_limit() -> None:
    rolling.releases()
    rolling.environment(errors={"failure_limit": 1, "count": 5, "on_fail": "pause"})
    row = rolling.deploy(now=rolling.now())
    rolling.until_still(rolling.now())
    rolling.ended_runs(row, "stable", 160)
    rolling.ended_runs(row, "candidate", 40, failed=20)
    rolling.until_still(rolling.after(61))
    assert (rolling.shown(row), row.failures) == (("running", 1, 20.0), 1)
    rolling.until_still(rolling.after(122))
    assert rolling.shown(row) == ("paused", 1, 20.0)
    assert row.paused_for == machine.FAILED
    # Resumed, it counts anew: those before would end it again at once.
    before = row.weight_at
    resumed = rollouts.resume(row.pk, actor=ANNA, reason="", now=rolling.now())
    assert resumed.weight_at > before
    assert (resumed.state, resumed.looks, resumed.failures) == ("running", 0, 0)


def test_a_split_that_is_not_as_it_should_be_stops_the_rollout() -> None:
    rolling.releases()
    rolling.environment()
    row = rolling.deploy(now=rolling.now())
    rolling.until_still(rolling.now())
    rolling.ended_runs(row, "stable", 300)
    rolling.ended_runs(row, "candidate", 30)
    rolling.until_still(rolling.after(61))
    assert rolling.shown(row) == ("paused", 1, 20.0)
    assert row.paused_for == machine.SAMPLE_RATIO
    assert "30 of 330 sticky values got the candidate, 9.09 % instead of 20 %" in row.note


def test_a_step_that_takes_too_long_is_paused() -> None:
    rolling.releases()
    rolling.environment(errors={"count": 100}, progress_deadline="10m")
    row = rolling.deploy(now=rolling.now())
    rolling.until_still(rolling.now())
    rolling.until_still(rolling.after(300))
    assert rolling.shown(row)[0] == "running"
    rolling.until_still(rolling.after(700))
    assert (rolling.shown(row)[0], row.paused_for) == ("paused", machine.DEADLINE)


def test_metrics_that_cannot_be_read_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rolling.releases()
    rolling.environment()
    row = rolling.deploy(now=rolling.now())
    rolling.until_still(rolling.now())
    monkeypatch.setattr(
        "workflows.releases.figures._ARMS", "SELECT 1 / 0, $1::bigint, $2::timestamptz, $3::bool"
    )
    rolling.until_still(rolling.after(61))
    assert (rolling.shown(row), row.looks) == (("running", 1, 20.0), 0)
    assert "the metrics could not be read (DivisionByZero)" in row.note


def test_runs_keep_their_release_and_say_which_one_they_were_given() -> None:
    rolling.releases()
    rolling.environment(steps=[{"weight": 50}, {"pause": {}}])
    row = rolling.deploy(now=rolling.now())
    runs = [engine.start("echo", who=f"person-{number}") for number in range(40)]
    again = {run.pk: engine.start("echo", who=f"person-{number}") for number, run in enumerate(runs)}
    assert {run.arm for run in runs} == {"candidate", "stable"}
    for run in runs:
        assert (run.rollout_id, again[run.pk].arm) == (row.pk, run.arm)  # one session, one release
    rollouts.abort(row.pk, actor=ANNA, reason="", now=rolling.now())
    engine.drain()
    for run in runs:
        assert engine.output(run) == (2 if run.arm == "candidate" else 1)
    later = engine.start("echo", who="person-0")
    assert (later.arm, later.rollout_id, later.release.number) == ("", None, 1)
    [created] = Run.objects.get(pk=runs[0].pk).journal.filter(type="run.created")
    assert created.data["arm"] == runs[0].arm


def test_an_input_that_only_the_stable_release_takes_goes_there() -> None:
    rolling.releases(1)
    engine.apply(
        "kind: Workflow" + (rolling.ECHO % 2).replace("{type: object,", "{type: object, required: [why],")
    )
    rolling.environment(steps=[{"weight": 99}, {"pause": {}}])
    rolling.deploy(now=rolling.now())
    runs = [engine.start("echo", who=f"person-{number}") for number in range(20)]
    assert {run.release.number for run in runs} == {1}
    assert "" in {run.arm for run in runs}


def test_a_sticky_expression_that_does_not_fit_keeps_no_run_from_starting() -> None:
    rolling.releases()
    rolling.environment(steps=[{"weight": 50}, {"pause": {}}], sticky="{{ input.nobody.x.y }}")
    rolling.deploy(now=rolling.now())
    assert {engine.start("echo", who="same").arm for _ in range(30)} == {"candidate", "stable"}


def test_one_rollout_at_a_time_unless_it_is_superseded() -> None:
    rolling.releases(3)
    rolling.environment()
    first = rolling.deploy(now=rolling.now())
    with pytest.raises(Conflict, match="supersedes"):
        rolling.deploy(3, now=rolling.now())
    with pytest.raises(Conflict, match="supersedes"):
        deployments.deploy("echo", environment="production", release=3, actor=ANNA)
    second = rolling.deploy(3, now=rolling.now(), supersede=True)
    assert rolling.shown(first) == ("superseded", 0, 0.0)
    assert rolling.shown(second) == ("running", 0, 20.0)
    ask = rollouts.Ask(**rolling.PLACE, release=2, strategy="now", supersede=True)
    assert rollouts.deploy(ask, actor=ANNA, now=rolling.now()) is None
    assert (rolling.shown(second)[0], stable()) == ("superseded", 2)


def test_abort_may_cancel_the_candidates_runs_and_no_others() -> None:
    rolling.releases()
    rolling.environment(steps=[{"weight": 50}, {"pause": {}}])
    row = rolling.deploy(now=rolling.now())
    runs = [engine.start("echo", who=f"person-{number}") for number in range(20)]
    rollouts.abort(row.pk, actor=ANNA, reason="wrong", now=rolling.now(), in_flight="cancel")
    tending.tick(rolling.now())
    states = {(run.arm, Run.objects.get(pk=run.pk).state) for run in runs}
    assert states == {("candidate", "cancelled"), ("stable", "queued")}
    assert Rollout.objects.get(pk=row.pk).cancelling
    tending.tick(rolling.after(60))
    assert not Rollout.objects.get(pk=row.pk).cancelling


def test_in_a_protected_environment_a_second_person_decides() -> None:
    rolling.releases()
    rolling.environment(protected=True)
    row = rolling.deploy(now=rolling.now())
    assert rolling.shown(row) == ("paused", -1, 0.0)
    assert row.paused_for == machine.APPROVAL
    for who in (ANNA, engine.OPERATOR):  # who started it, and who made the release
        with pytest.raises(Refused, match="second person"):
            rollouts.promote(row.pk, actor=who, reason="", now=rolling.now())
    with pytest.raises(Conflict, match="promote it, or abort it"):
        rollouts.resume(row.pk, actor=BEN, reason="", now=rolling.now())
    rollouts.promote(row.pk, actor=BEN, reason="", now=rolling.now())
    assert rolling.shown(row) == ("running", 0, 20.0)
    with pytest.raises(Refused):
        rollouts.promote(row.pk, actor=ANNA, reason="", now=rolling.now(), fully=True)
    rollouts.abort(row.pk, actor=ANNA, reason="", now=rolling.now())  # anybody may stop it


def test_even_at_once_a_protected_environment_asks_a_second_person() -> None:
    rolling.releases()
    rolling.environment(protected=True)
    row = rolling.deploy(now=rolling.now(), strategy="now")
    assert (rolling.shown(row), stable()) == (("paused", -1, 0.0), 1)
    rollouts.promote(row.pk, actor=BEN, reason="", now=rolling.now())
    rolling.until_still(rolling.now())
    assert (rolling.shown(row)[0], stable()) == ("succeeded", 2)


def test_a_new_protected_environment_gets_its_first_release_by_a_second_person() -> None:
    engine.apply("{kind: Environment, name: live, protected: true}")
    rolling.releases(1)
    assert not Deployment.objects.filter(environment="live").exists()
    row = rolling.deploy(1, now=rolling.now(), environment="live", strategy="now")
    rollouts.promote(row.pk, actor=BEN, reason="", now=rolling.now(), fully=True)
    assert Deployment.objects.get(environment="live").stable.number == 1


def test_what_cannot_be_rolled_out_is_refused_before_anything_moves() -> None:
    rolling.releases()
    with pytest.raises(Conflict, match="has no rollout steps"):
        rolling.deploy(now=rolling.now())
    rolling.environment()
    with pytest.raises(Conflict, match="has already"):
        rolling.deploy(1, now=rolling.now())
    with pytest.raises(UnknownObject):
        rolling.deploy(9, now=rolling.now())
    with pytest.raises(UnknownObject):
        rolling.deploy(2, now=rolling.now(), environment="nowhere")
    assert not Rollout.objects.exists()


def test_a_document_of_an_environment_makes_and_changes_it() -> None:
    engine.apply("{kind: Environment, name: staging, variables: {tone: dry}}")
    made = Environment.objects.get(pk="staging")
    assert (made.protected, made.variables) == (False, {"tone": "dry"})
    engine.apply("{kind: Environment, name: staging, protected: true}")
    made.refresh_from_db()
    assert (made.protected, made.variables) == (True, {})
    text = "{kind: Environment, name: imported}"
    found = definitions.apply([SourceText("e.yaml", text, "yaml")], actor=ANNA)
    assert "choose another name" in str(found.errors[0])


def test_a_candidate_that_is_quarantined_goes_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    rolling.releases()
    rolling.environment(steps=[{"weight": 5}, {"pause": {"for": "1m"}}, {"weight": 100}])
    row = rolling.deploy(now=rolling.now())
    rolling.until_still(rolling.now())
    monkeypatch.setattr("workflows.quarantine.held_back", lambda release: "prompt triage@2")
    rolling.until_still(rolling.after(61))
    assert (rolling.shown(row), row.paused_for) == (("paused", 1, 0.0), machine.QUARANTINED)


def test_what_is_quarantined_gets_no_more_runs_wherever_its_rollout_stands() -> None:
    rolling.releases()
    rolling.environment()
    row = rolling.deploy(now=rolling.now(), actor=ANNA)
    rollouts.promote(row.pk, actor=BEN, reason="", now=rolling.now())
    rollouts.promote(row.pk, actor=BEN, reason="", now=rolling.now())
    rollouts.promote(row.pk, actor=BEN, reason="", now=rolling.now())
    assert rolling.shown(row) == ("paused", 3, 50.0)  # at a gate, where no clock looks
    made = quarantine.impose(Ask(kind="release", ref="echo@2", reason="It insults people."), actor=ANNA)
    rolling.until_still(rolling.now())
    assert (rolling.shown(row), row.paused_for) == (("paused", 3, 0.0), machine.QUARANTINED)
    assert AuditEntry.objects.filter(action="rollout.pause", object_id=str(row.pk)).count() == 1
    assert {engine.start("echo", who=f"p{number}").release.number for number in range(10)} == {1}
    with pytest.raises(Conflict, match="quarantined"):
        rollouts.promote(row.pk, actor=BEN, reason="", now=rolling.now())
    quarantine.release(made.pk, actor=ANNA, reason="It was mended.")
    rollouts.resume(row.pk, actor=ANNA, reason="", now=rolling.now())
    assert rolling.shown(row) == ("paused", 3, 50.0)


def test_a_failed_run_that_was_led_on_stays_a_failure_of_its_release() -> None:
    rolling.releases()
    rolling.environment()
    row = rolling.deploy(now=rolling.now())
    rolling.until_still(rolling.now())
    rolling.ended_runs(row, "stable", 160, failed=2)
    rolling.ended_runs(row, "candidate", 40, failed=14)
    Run.objects.filter(rollout=row, state="failed").update(state="succeeded", led_on_from="failed")
    Run.objects.filter(rollout=row, led_on_from="failed", arm="candidate").filter(
        pk=Run.objects.filter(led_on_from="failed", arm="candidate").order_by("pk").values("pk")[:1]
    ).update(state="running")
    rolling.until_still(rolling.after(65))
    assert rolling.shown(row) == ("rolled_back", 1, 0.0)
    assert "35 % of 40 candidate runs" in row.note


def test_how_a_run_had_ended_is_noted_when_it_is_first_led_on() -> None:
    engine.deploy("name: fails\nsteps: [{id: a, set: {v: '{{ 1 / 0 }}'}}]")
    run = engine.run("fails")
    assert (run.state, run.led_on_from) == ("failed", "")
    for _ in range(2):
        recovery.retry(run.pk, actor=ANNA)
        engine.drain()
        run.refresh_from_db()
        assert (run.state, run.led_on_from) == ("failed", "failed")


def test_who_promotes_what_has_gone_on_meanwhile_is_told() -> None:
    rolling.releases()
    rolling.environment()
    row = rolling.deploy(now=rolling.now())
    rollouts.promote(row.pk, actor=BEN, reason="", now=rolling.now(), step=0)
    with pytest.raises(Conflict, match="stands in step 2, not 1"):
        rollouts.promote(row.pk, actor=ANNA, reason="", now=rolling.now(), step=0)
    assert rolling.shown(row) == ("running", 1, 20.0)


def test_no_document_takes_protection_away_and_a_rollout_keeps_its_own() -> None:
    rolling.releases()
    rolling.environment(protected=True)
    row = rolling.deploy(now=rolling.now())
    for text in (
        "{kind: Environment, name: production}",
        "{kind: Environment, name: production, protected: false}",
    ):
        found = definitions.apply([SourceText("e.yaml", text, "yaml")], actor=ANNA)
        assert "manage.py unprotect production" in str(found.errors[0])
    assert Environment.objects.get(pk="production").protected
    with pytest.raises(Invalid):
        environments.unprotect("production", actor=ANNA, reason=" ")
    environments.unprotect("production", actor=ANNA, reason="A drill.")
    with pytest.raises(Conflict, match="not protected"):
        environments.unprotect("production", actor=ANNA, reason="A drill.")
    with pytest.raises(UnknownObject):
        environments.unprotect("nowhere", actor=ANNA, reason="A drill.")
    assert AuditEntry.objects.get(action="environment.unprotect").reason == "A drill."
    with pytest.raises(Refused, match="second person"):
        rollouts.promote(row.pk, actor=ANNA, reason="", now=rolling.now())
    engine.apply("{kind: Environment, name: production}")


def test_a_candidate_that_could_not_start_a_run_leaves_it_to_the_stable_release() -> None:
    rolling.releases(1)
    engine.apply("kind: Workflow" + (rolling.ECHO % 2).replace("{{ input.who }}", "{{ input.nobody.x }}"))
    rolling.environment(steps=[{"weight": 99}, {"pause": {}}])
    rolling.deploy(now=rolling.now())
    runs = [engine.start("echo", who=f"person-{number}") for number in range(20)]
    assert {run.release.number for run in runs} == {1}


def test_the_products_own_workflows_are_not_rolled_out() -> None:
    setup.ensure()
    with pytest.raises(Conflict, match="belongs to the product"):
        rolling.deploy(1, now=rolling.now(), workflow="interlock-ingest")


def test_a_measurement_that_was_overtaken_by_a_person_changes_nothing() -> None:
    rolling.releases()
    rolling.environment()
    row = rolling.deploy(now=rolling.now())
    rolling.until_still(rolling.now())
    read = rollouts.get(row.pk)
    rollouts.abort(row.pk, actor=ANNA, reason="", now=rolling.now())
    assert not tending.advance(read, now=rolling.after(61))
    assert rolling.shown(row) == ("aborted", 1, 0.0)
    assert not Measurement.objects.exists()


def test_a_move_that_was_overtaken_in_the_same_state_changes_nothing() -> None:
    rolling.releases()
    rolling.environment(steps=[{"weight": 5}, {"weight": 10}, {"weight": 20}, {"pause": {}}])
    row = rolling.deploy(now=rolling.now())
    read = rollouts.get(row.pk)
    rollouts.promote(row.pk, actor=ANNA, reason="", now=rolling.now())
    rollouts.promote(row.pk, actor=ANNA, reason="", now=rolling.now())
    assert not tending.advance(read, now=rolling.after(1))  # it would have gone back to 10 %
    assert rolling.shown(row) == ("running", 2, 20.0)


def test_paused_by_a_person_it_waits_and_begins_the_step_anew() -> None:
    rolling.releases()
    rolling.environment(steps=[{"weight": 5}, {"pause": {"for": "1m"}}, {"weight": 100}])
    row = rolling.deploy(now=rolling.now())
    rolling.until_still(rolling.now())
    rollouts.pause(row.pk, actor=ANNA, reason="lunch", now=rolling.now())
    rolling.until_still(rolling.after(600))
    assert rolling.shown(row) == ("paused", 1, 5.0)
    assert row.note == "anna paused it. lunch"
    with pytest.raises(Conflict, match="needs one that is running"):
        rollouts.pause(row.pk, actor=ANNA, reason="", now=rolling.now())
    moment = rolling.now()
    rollouts.resume(row.pk, actor=ANNA, reason="", now=moment)
    row.refresh_from_db()
    assert row.due_at == moment + timedelta(minutes=1)
