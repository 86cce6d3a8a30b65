"""The model of the statements finds errors that are planted in them."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.db.engine.statements.machine import Machine
from tests.db.engine.statements.mutants import MUTANTS, Mutant, planted
from tests.db.engine.test_statements_model import LOOKED_AT

BOUNDED = settings(LOOKED_AT, max_examples=150, derandomize=True, print_blob=False)


@pytest.mark.tampers
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_model_finds(mutant: Mutant) -> None:
    Machine.deployed.clear()
    with planted(mutant), pytest.raises(AssertionError):
        run_state_machine_as_test(Machine, settings=BOUNDED)


@pytest.mark.tampers
def test_a_mutant_of_what_is_not_there_any_more_is_told() -> None:
    with pytest.raises(LookupError, match="bring the mutant up to date"):
        Mutant("of nothing", "commit", "no such text", "").source()
