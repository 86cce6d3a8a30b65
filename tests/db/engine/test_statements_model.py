"""Random moves of workers, the clock and people, against a ledger of what has to come of them.

More examples, drawn anew each time:

    STATEMENT_EXAMPLES=2000 .venv/bin/python -m pytest tests/db/engine/test_statements_model.py
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.db.engine.statements.machine import EXAMPLES, Machine

LOOKED_AT = settings(
    max_examples=EXAMPLES or 45,
    stateful_step_count=40,
    derandomize=not EXAMPLES,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # to shrink what it finds takes minutes
    report_multiple_bugs=False,
    print_blob=True,
)


@pytest.mark.timeout(3600 if EXAMPLES else 120)
@pytest.mark.tampers
def test_whatever_moves_are_made_the_tables_are_as_the_ledger_demands() -> None:
    Machine.deployed.clear()
    run_state_machine_as_test(Machine, settings=LOOKED_AT)
