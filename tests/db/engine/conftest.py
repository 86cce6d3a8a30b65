"""The engine commits on connections of its own: its tests see and leave real transactions."""

import pytest


@pytest.fixture(autouse=True)
def _real_transactions(transactional_db: None) -> None:
    """Give every test here a database that commits."""
