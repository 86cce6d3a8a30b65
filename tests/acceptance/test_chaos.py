"""The short form of `make chaos`: every kind of fault at random under load, then the books are checked."""

from __future__ import annotations

import random

import pytest

from tests.chaos import performance
from tests.servers import Servers
from tests.workers import Workers


@pytest.mark.timeout(400)
def test_nothing_is_lost_or_done_twice_whatever_breaks(worker: Workers, servers: Servers) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201  told where it fails
    report = performance.perform(servers, worker, seconds=40, seed=seed, least=6)
    assert not report.wrong(), report.as_text()
    assert report.runs > 20
    assert report.faults.total() >= 6
