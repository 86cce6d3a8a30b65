"""The doorbell never fails a caller, however the broker goes away."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.servers import Servers
from workflows.engine import dispatch

QUIET_S = 2.2  # how long the bell keeps silent after a failure, and a little more


@pytest.fixture
def broker(servers: Servers) -> Iterator[Servers]:
    """A broker that this process has connections to, back again after the test."""
    servers.flush_valkey()  # other tests ring, and nobody answers: a full queue would silence the bell
    time.sleep(QUIET_S)
    assert dispatch.ring([1]) == 1
    yield servers
    if "valkey" not in servers.processes:
        servers.start_valkey()
    servers.flush_valkey()


@pytest.mark.parametrize("idle_s", [0.0, 0.1], ids=["at once", "after the queue is measured anew"])
def test_a_broker_that_died_under_an_open_connection_fails_nobody(broker: Servers, idle_s: float) -> None:
    dispatch.ring([1])
    broker.kill("valkey")
    time.sleep(idle_s)
    assert dispatch.ring([2]) == 0


def test_the_bell_rings_again_once_the_broker_is_back(broker: Servers) -> None:
    broker.kill("valkey")
    time.sleep(0.1)
    assert dispatch.ring([2]) == 0
    broker.start_valkey()
    time.sleep(QUIET_S)
    assert dispatch.ring([3]) == 1
