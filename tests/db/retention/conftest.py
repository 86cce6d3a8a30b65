"""The engine commits on connections of its own: its tests see and leave real transactions."""

import pytest

from workflows.engine import bundle


@pytest.fixture(autouse=True)
def _real_transactions(transactional_db: None) -> None:
    bundle.forget_providers()
