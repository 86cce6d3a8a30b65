"""What follows from a failure: who takes it, and when it is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine.test_plan import build
from workflows.engine import decide
from workflows.engine.outcomes import NEVER_RETRIED, StepError
from workflows.engine.plan import Plan
from workflows.spec.workflow import RetryDef

ABSORBING = """
name: absorbing
steps:
  - id: outer
    on_error: continue
    map:
      over: input.xs
      steps:
        - id: inner
          map:
            over: item
            on_item_error: {on_item_error}
            steps:
              - {{id: work, set: {{a: 1}}}}
              - {{id: soft, on_error: continue, set: {{a: 1}}}}
  - {{id: plain, set: {{a: 1}}}}
"""


def plan(on_item_error: str = "fail") -> Plan:
    return build(ABSORBING.format(on_item_error=on_item_error))


def absorbed(at: Plan, step: str, path: str) -> decide.Absorbed | None:
    return decide.absorb(at, at.nodes[step], path)


def test_a_plain_failure_stops_the_run() -> None:
    assert absorbed(plan(), "plain", "plain") == decide.Absorbed(scope="run")


def test_a_step_that_continues_takes_its_own_failure() -> None:
    assert absorbed(plan(), "soft", "outer[0]/inner[1]/soft") is None


def test_an_item_takes_a_failure_where_the_map_goes_on() -> None:
    taken = absorbed(plan("continue"), "work", "outer[2]/inner[1]/work")
    assert taken == decide.Absorbed(scope="item", container="outer[2]/inner", prefix="outer[2]/inner[1]/")


def test_a_failure_climbs_to_the_container_that_continues() -> None:
    taken = absorbed(plan(), "work", "outer[2]/inner[1]/work")
    assert taken == decide.Absorbed(scope="container", container="outer", prefix="outer[")


def test_without_a_policy_nothing_is_retried() -> None:
    assert delay(None) is None


def delay(policy: RetryDef | None, *, error: str = "timeout", failures: int = 1) -> float | None:
    problem = StepError(error_class=error, message="x")
    return decide.retry_delay_s(policy, problem, failures=failures, seed="r:step:1")


@given(st.integers(1, 20), st.integers(1, 20), st.floats(0.01, 10), st.floats(0.01, 100))
def test_delays_stay_within_their_bounds(attempts: int, failures: int, first: float, largest: float) -> None:
    policy = RetryDef(attempts=attempts, first_s=first, max_s=largest)
    wait = delay(policy, failures=failures)
    if failures >= attempts:
        assert wait is None
    else:
        assert wait is not None
        assert 0 <= wait <= min(largest, first * 2.0 ** (failures - 1))


def test_a_delay_is_the_same_in_every_replay() -> None:
    policy = RetryDef(attempts=5, first_s=1, max_s=60)
    assert delay(policy, failures=2) == delay(policy, failures=2)
    assert delay(policy, failures=2) != delay(policy, failures=3)


@pytest.mark.parametrize("error", sorted(NEVER_RETRIED))
def test_what_cannot_get_better_is_never_retried(error: str) -> None:
    assert delay(RetryDef(attempts=5), error=error) is None


def test_only_the_named_classes_are_retried() -> None:
    policy = RetryDef(attempts=5, on=frozenset({"timeout"}))
    assert delay(policy, error="timeout") is not None
    assert delay(policy, error="connect") is None
