"""One witness for all tests of a module; each finds it as if new."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.witness import Witness


@pytest.fixture(scope="module")
def _server() -> Iterator[Witness]:
    with Witness() as server:
        yield server


@pytest.fixture
def witness(_server: Witness) -> Witness:
    _server.forget()
    return _server
