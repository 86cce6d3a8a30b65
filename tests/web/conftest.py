"""People who are signed in, for tests of pages."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client

from console.models import Role
from tests import factories


@pytest.fixture(autouse=True)
def _counted_anew() -> None:
    """Counts of very many runs are kept for a while; here the next test has other runs."""
    cache.clear()


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(factories.user(Role.OPERATOR, "otto"))
    return client


@pytest.fixture
def viewer(client: Client, db: None) -> Client:
    client.force_login(factories.user(Role.VIEWER, "vera"))
    return client


@pytest.fixture
def editor(client: Client, db: None) -> Client:
    client.force_login(factories.user(Role.EDITOR, "edith"))
    return client
