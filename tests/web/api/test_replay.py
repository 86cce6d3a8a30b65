"""Replay, preview and retry from a step over the API; `manage.py replay`."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from django.core.management import call_command

from tests import engine
from tests.db.engine.test_forks import OTHERS
from tests.web.api.conftest import Api, assert_problem
from workflows.engine import bundle
from workflows.models import Run
from workflows.step_kinds import set_values

TWO = """
name: two
input: {type: object}
steps:
  - {id: a, set: {v: "{{ input.n }}"}}
  - {id: b, needs: [a], set: {v: "{{ 1 / (steps.a.output.v - 1) }}"}}
output: "{{ steps.b.output.v }}"
"""


GREETING = """
name: greeting
input: {type: object}
steps:
  - {id: a, prompt: greet, with: {of: "{{ input.of }}"}, route: chat}
  - {id: b, needs: [a], set: {v: "{{ input.more }}"}}
"""


@pytest.fixture(autouse=True)
def _real(transactional_db: None) -> None:
    """The engine commits on connections of its own."""


def two(n: int) -> Run:
    return engine.run(engine.deploy(TWO), n=n)


def test_a_replay_answers_with_its_verdict(api: Api) -> None:
    run = two(3)
    answer = api.post(f"/runs/{run.pk}/replay")
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert (found["verdict"], found["divergences"], found["missing"]) == ("identical", [], [])
    assert (found["run"], found["checked"], found["engine"]) == (run.pk, 2, 1)


def test_a_divergence_names_step_and_place(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    run = two(3)
    monkeypatch.setattr("workflows.engine.attempt.LEAVES", {"set": _louder()})
    (only, *_) = api.post(f"/runs/{run.pk}/replay").json()["divergences"]
    assert (only["path"], only["what"], only["at"]) == ("a", "input", "$.v")
    assert (only["recorded"], only["replayed"], only["template"]) == (3, 4, "{{ input.n }}")
    told = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("replay", run.pk, stdout=told, stderr=io.StringIO())
    assert ended.value.code == 1
    assert "a: Its input differs, first at $.v." in told.getvalue()


def _louder() -> object:
    def prepare(*given: object) -> dict[str, object]:
        return {key: value + 1 for key, value in set_values.prepare(*given).items()}  # type: ignore[arg-type]

    return replace(set_values.KIND, prepare=prepare)


def test_a_run_that_goes_on_is_not_replayed(api: Api) -> None:
    waiting = engine.run(engine.deploy("name: w\nsteps: [{id: a, wait: {signal: s}}]\n"))
    assert_problem(api.post(f"/runs/{waiting.pk}/replay"), 409, "run_not_ended")
    assert_problem(api.post("/runs/r_none/replay"), 404, "unknown_run")


def test_the_newest_runs_are_replayed_before_new_code_is_deployed() -> None:
    runs = {two(n).pk for n in (2, 3)}
    out, told = io.StringIO(), io.StringIO()
    call_command("replay", "--workflow", "two", "--last", "5", "--json", stdout=out, stderr=told)
    found = [json.loads(part + "}") for part in out.getvalue().split("\n}") if part.strip()]
    assert {each["run"] for each in found} == runs
    assert "2 identical" in told.getvalue()


def test_a_retry_from_a_step_is_shown_first_and_then_done(api: Api) -> None:
    run = two(1)
    assert run.state == "failed"
    asked = {"from_step": "a"}
    shown = api.post(f"/runs/{run.pk}/retry/preview", asked)
    assert shown.status_code == 200, shown.content
    assert shown.json() == {"again": ["a", "b"], "kept": 0, "effects": [], "model_calls": 0, "cost_usd": "0"}
    assert api.post(f"/runs/{run.pk}/retry", {**asked, "reason": "x"}).json()["state"] == "running"
    engine.drain()
    steps = api.get(f"/runs/{run.pk}/steps").json()["results"]
    assert [(step["path"], step["epoch"]) for step in steps] == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_a_fork_is_another_run_and_is_compared_step_by_step(api: Api) -> None:
    run = two(3)
    answer = api.post(f"/runs/{run.pk}/fork", {"from_step": "a", "overrides": {"input": {"n": 2}}})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["forked_from"], made["workflow"], made["release"]) == (run.pk, "two", 1)
    engine.drain()
    found = api.get(f"/runs/{run.pk}/diff/{made['id']}").json()
    assert [(each["aspect"], each["at"], each["left"], each["right"]) for each in found["given"]] == [
        ("input", "$.n", 3, 2)
    ]
    assert (found["first"], found["output"]["left"], found["output"]["right"]) == ("a", 0.5, 1)
    assert [(step["path"], [each["aspect"] for each in step["differences"]]) for step in found["steps"]] == [
        ("a", ["input", "output"]),
        ("b", ["input", "output"]),
    ]
    same = api.get(f"/runs/{run.pk}/diff/{run.pk}").json()
    assert (same["given"], same["first"], same["output"]) == ([], None, None)


def test_a_fork_with_params_answers_with_tokens_and_what_was_given(api: Api) -> None:
    bundle.forget_providers()
    run = engine.run(engine.deploy(GREETING, others=OTHERS), of="ann")
    asked = {"overrides": {"params": {"a": {"temperature": 0}}}}
    answer = api.post(f"/runs/{run.pk}/fork", asked)
    assert answer.status_code == 201, answer.content
    engine.drain()
    found = api.get(f"/runs/{run.pk}/diff/{answer.json()['id']}").json()
    assert [(each["aspect"], each["at"]) for each in found["given"]] == [("params", "a")]
    assert [sorted(each) for each in found["totals"]["tokens"]] == [sorted(run.tokens or {})] * 2
    assert found["totals"]["tokens"][0]["input"] > 0
    assert found["steps"][0]["left"]["memory"] is None


def test_what_a_fork_took_over_is_no_difference(api: Api) -> None:
    bundle.forget_providers()
    run = engine.run(engine.deploy(GREETING, others=OTHERS), of="ann")
    made = api.post(f"/runs/{run.pk}/fork", {"from_step": "b", "overrides": {"input": {"more": 1}}}).json()
    engine.drain()
    again = api.post(f"/runs/{made['id']}/fork", {"from_step": "b"}).json()
    engine.drain()
    for fork in (made["id"], again["id"]):
        found = api.get(f"/runs/{run.pk}/diff/{fork}").json()
        assert found["first"] == "b", found["steps"][0]["differences"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"from_step": "c"}, 404, "unknown_step"),
        ({"overrides": {"prompts": {"p": 1}}}, 404, "not_in_release"),
        ({"overrides": {"params": {"c": {}}}}, 404, "not_in_release"),
        ({"overrides": {"params": {"a": {}}}}, 422, "overrides_invalid"),
        ({"overrides": {"colour": 1}}, 422, "invalid_request"),
        ({"effects": "perhaps"}, 422, "invalid_request"),
        ({"overrides": {"release": 4}}, 404, "unknown_release"),
    ],
)
def test_a_fork_that_does_not_fit_is_refused(
    api: Api, body: dict[str, object], status: int, code: str
) -> None:
    run = two(3)
    assert_problem(api.post(f"/runs/{run.pk}/fork", body), status, code)
    assert Run.objects.count() == 1


def test_a_run_is_exported_and_not_taken_in_twice(api: Api) -> None:
    run = two(3)
    packed = api.get(f"/runs/{run.pk}/record", redact="nothing")
    assert_problem(packed, 422, "not_a_text")
    packed = api.get(f"/runs/{run.pk}/record").json()
    assert (packed["format"], packed["runs"][0]["run"]["id"]) == ("interlock-run", run.pk)
    assert_problem(api.post("/runs/import", packed), 409, "run_exists")
    Run.objects.get(pk=run.pk).delete()  # as on a machine that does not know it
    made = api.post("/runs/import", packed)
    assert made.status_code == 201, made.content
    assert (made.json()["id"], made.json()["environment"]) == (run.pk, "imported")
    assert api.post(f"/runs/{run.pk}/replay").json()["verdict"] == "identical"
    assert_problem(api.post("/runs/import", {**packed, "digest": "x"}), 422, "file_damaged")


def test_what_cannot_be_retried_so_is_refused(api: Api) -> None:
    run = two(1)
    assert_problem(api.post(f"/runs/{run.pk}/retry", {"from_step": "c"}), 404, "unknown_step")
    assert_problem(api.post(f"/runs/{run.pk}/retry", {"release": 9}), 404, "unknown_release")
    body = {"from_step": "b", "repeat_effects": ["a"]}
    assert_problem(api.post(f"/runs/{run.pk}/retry", body), 422, "effect_not_repeated")
    assert_problem(api.post(f"/runs/{run.pk}/retry", {"from_step": ""}), 422, "invalid_request")
