"""The engine commits on connections of its own: its tests see and leave real transactions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import replaying
from workflows.engine import bundle
from workflows.models import Run


@pytest.fixture(autouse=True)
def _real_transactions(transactional_db: None) -> None:
    """Give every test here a database that commits, and no memory of the one before."""
    bundle.forget_providers()


@pytest.fixture(autouse=True)
def _replayed(request: pytest.FixtureRequest, _real_transactions: None) -> Iterator[None]:
    """Whatever a test does to its runs: what the record says is what is stored, and it replays alike.

    A test that plays an attempt's outcome itself, or writes to the tables, is marked: `@pytest.mark.tampers`.
    """
    yield
    if request.node.get_closest_marker("tampers") is None:
        assert not (found := replaying.differences(Run.objects.order_by("pk"))), "\n".join(found)
