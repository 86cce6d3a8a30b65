"""The tables of states: every pair of states, and the rules that hold over all of them."""

import itertools

import pytest

from workflows import states

TABLES = {"run": states.RUN, "step": states.STEP, "attempt": states.ATTEMPT, "rollout": states.ROLLOUT}


@pytest.mark.parametrize("name", TABLES)
def test_every_move_leads_to_a_known_state(name: str) -> None:
    table = TABLES[name]
    for source, target in itertools.product(table, table):
        assert states.may(table, source=source, target=target) == (target in table[source])
    assert {target for targets in table.values() for target in targets} <= set(table)


def test_no_state_moves_to_itself() -> None:
    for table in TABLES.values():
        assert not any(source in targets for source, targets in table.items())


def test_success_is_final() -> None:
    assert not states.RUN["succeeded"]
    assert not states.STEP["succeeded"]
    assert not states.ATTEMPT["succeeded"]


def test_sources_are_the_inverse_of_moves() -> None:
    for table in TABLES.values():
        for source, target in itertools.product(table, table):
            assert (source in states.sources(table, target=target)) == (target in table[source])


def test_unknown_states_are_an_error() -> None:
    with pytest.raises(KeyError):
        states.may(states.RUN, source="queued", target="sleeping")
