"""People who are signed in, for tests of pages."""

from __future__ import annotations

import pytest
from django.test import Client

from console.models import Role
from tests import factories


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(factories.user(Role.OPERATOR, "otto"))
    return client


@pytest.fixture
def viewer(client: Client, db: None) -> Client:
    client.force_login(factories.user(Role.VIEWER, "vera"))
    return client
