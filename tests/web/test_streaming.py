"""A stream in which nothing happens: it beats, and it ends; with times of its own, so that nobody waits ten minutes."""

from __future__ import annotations

import asyncio
import time

import pytest

from console import hub, streaming
from console.streaming import Look, Stream

BEAT = ": still here\n\n"


def frames(stream: Stream) -> list[str]:
    async def collected() -> list[str]:
        return [frame async for frame in stream.frames()]

    return asyncio.run(collected())


@pytest.mark.django_db(transaction=True)
def test_a_quiet_stream_beats_and_ends_so_that_the_client_connects_again() -> None:
    looks: list[int] = []

    def look(after: int) -> Look:
        looks.append(after)
        return Look(seq=7)

    began = time.monotonic()
    heard = frames(Stream("r_quiet", "user:1", 3, look, heartbeat_s=0.2, longest_s=1.2))
    assert 1.2 <= time.monotonic() - began < 4
    assert heard[0] == "retry: 1000\n\n"
    assert 1 <= len(heard[1:]) <= 4
    assert set(heard[1:]) == {BEAT}
    assert looks[:2] == [3, 7]  # each look goes on where the last one ended
    assert not streaming.too_many("user:1")


@pytest.mark.django_db(transaction=True)
def test_what_happens_is_told_and_no_beat_comes_between() -> None:
    told = [
        Look(frames=["a"], seq=1, again=True),
        Look(frames=["b"], seq=2, again=True),
        Look(frames=["c"], seq=3, ended=True),
    ]
    heard = frames(Stream("r_busy", "user:1", 0, lambda after: told[after], heartbeat_s=5, longest_s=60))
    assert heard[1:] == ["a", "b", "c"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turns", range(4))
def test_a_client_that_goes_in_the_moment_of_a_hint_is_let_go(turns: int) -> None:
    """`turns` of the event loop lie between the hint and the news that the client has gone."""

    async def leave() -> None:
        streams = [
            Stream("r_left", "user:1", 0, lambda after: Look()) for _ in range(streaming.MOST_PER_PERSON)
        ]
        listening = [asyncio.create_task(_drain(stream)) for stream in streams]
        async with asyncio.timeout(10):
            while not hub.of_this_loop().hears:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.6)  # all have looked, and wait
        hub.of_this_loop().ring("r_left")
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in listening:
            task.cancel()
        _, left = await asyncio.wait(listening, timeout=2)
        assert not left
        assert not streaming._open["user:1"]

    asyncio.run(leave())


async def _drain(stream: Stream) -> None:
    async for _ in stream.frames():
        pass


def test_the_times_of_the_product_keep_proxies_and_workers_content() -> None:
    stream = Stream("r_1", "user:1", 0, lambda after: Look())
    assert (stream.heartbeat_s, stream.longest_s) == (15, 600)
