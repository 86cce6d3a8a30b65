"""The web process' one subscription to hints: what it hears it passes on, and hearing nothing costs nothing."""

from __future__ import annotations

import asyncio

import pytest
import redis

from console import hub
from tests.servers import SERVERS
from workflows.engine import hints


async def _hearing(here: hub.Hub) -> None:
    async with asyncio.timeout(10):
        while not here.hears:
            await asyncio.sleep(0.01)


def _commands() -> int:
    """Return how many commands the broker has carried out."""
    with redis.Redis.from_url(SERVERS.valkey.url()) as client:
        return int(client.info("stats")["total_commands_processed"])


def test_a_hint_rings_for_its_run_and_for_no_other() -> None:
    async def hear() -> None:
        here = hub.Hub()
        with here.listening("r_one") as one, here.listening("r_two") as two:
            await _hearing(here)
            one.clear()
            two.clear()
            await asyncio.to_thread(hints.tell, "r_one")
            async with asyncio.timeout(10):
                await one.wait()
            assert not two.is_set()

    asyncio.run(hear())


@pytest.mark.parametrize("ping_s", [20, 0.2])
def test_silence_is_listened_to_and_not_asked_about(ping_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web process that asked without a pause would take a whole core as long as anybody watches a run."""
    monkeypatch.setattr(hub, "_PING_S", ping_s)

    async def hear() -> None:
        here = hub.Hub()
        with here.listening("r_quiet"):
            await _hearing(here)
            before = await asyncio.to_thread(_commands)
            await asyncio.sleep(1)
            assert await asyncio.to_thread(_commands) - before < 20
            assert here.hears

    asyncio.run(hear())
