"""Rollouts commit for real, as the engine does."""

import pytest

from workflows.engine import bundle


@pytest.fixture(autouse=True)
def _real_transactions(transactional_db: None) -> None:
    """Give every test here a database that commits, and no memory of the one before."""
    bundle.forget_providers()
