"""The worker process itself: starts, drains, survives a broker that goes away."""

from __future__ import annotations

from tests.workers import Workers


def test_a_worker_starts_and_ends_on_sigterm(worker: Workers) -> None:
    started = worker.start(threads=2)
    assert started.terminate() == 0
    assert "worker_stopped" in started.log
