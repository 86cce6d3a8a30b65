"""A journaled step as storage alone: our commit statement beside the least that hand-written SQL could do.

Both in this process, on one connection: the CPU of this process and of Postgres. No expression is evaluated.
"""

from __future__ import annotations

import json
import uuid

import psycopg

from tests.benchmarks import frame
from tests.benchmarks.frame import Measure, Row, Stand
from tests.engine import deploy, start
from workflows.engine import commit
from workflows.engine.commit import Change, Claim
from workflows.payloads import Batch

STEPS = 50
TABLES = """
CREATE TABLE floor_step (
    id bigint PRIMARY KEY, state text NOT NULL, lease uuid, lease_until timestamptz, output bytea);
CREATE INDEX floor_ready ON floor_step (id) WHERE state = 'ready';
CREATE TABLE floor_journal (
    seq bigserial PRIMARY KEY, step bigint NOT NULL, at timestamptz NOT NULL, data jsonb NOT NULL)
"""
# Commit the step that is held, write the journal, and claim the next one: one statement, one round trip.
STATEMENT = """
WITH done AS (
    UPDATE floor_step SET state = 'succeeded', lease = NULL, lease_until = NULL, output = $3
     WHERE id = $1 AND state = 'running' AND lease = $2 RETURNING id
), journal AS (
    INSERT INTO floor_journal (step, at, data) SELECT id, clock_timestamp(), $4::jsonb FROM done
), free AS (
    SELECT id FROM floor_step WHERE state = 'ready' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE floor_step s SET state = 'running', lease = $5, lease_until = clock_timestamp() + interval '30 s'
  FROM free WHERE s.id = free.id RETURNING s.id
"""


def workflow() -> str:
    steps = "\n".join(f"  - {{id: s{n}, set: {{v: {n}}}}}" for n in range(STEPS))
    return f"name: chain\nsteps:\n{steps}\n"


def ours(stand: Stand, runs: int) -> Measure:
    """Claim and commit whole chains, each commit claiming the next step."""
    for _ in range(runs):
        start("chain")
    with stand.measure(runs * STEPS) as measured:
        while claim := commit.claim(worker="bench", lease_s=30, idle=True):
            following: Claim | None = claim
            while following is not None:
                following = advance(following)
    return measured


def advance(claim: Claim) -> Claim | None:
    number, batch = int(claim.step_id[1:]), Batch()
    key = batch.add({"v": f"{claim.run} {number}"})
    last = number == STEPS - 1
    change = Change(
        outcome="succeeded",
        batch=batch,
        input=key,
        output=key,
        successors=[] if last else [f"s{number + 1}"],
        ends=last,
    )
    return commit.apply(claim, change, worker="bench", lease_s=30, go_on=True, next_lease=uuid.uuid4()).next


def floor(stand: Stand, steps: int) -> Measure:
    with psycopg.connect(stand.servers.postgres.url(), autocommit=True) as connection:
        connection.execute("TRUNCATE floor_step, floor_journal")
        connection.execute("INSERT INTO floor_step SELECT n, 'ready' FROM generate_series(1, %s) n", [steps])
        cursor = psycopg.RawCursor(connection)
        with stand.measure(steps) as measured:
            held, lease = None, uuid.uuid4()
            for _ in range(steps + 1):
                following = uuid.uuid4()
                output = json.dumps({"v": str(held)}).encode()
                data = json.dumps({"output": output.hex()})
                row = cursor.execute(STATEMENT, [held, lease, output, data, following]).fetchone()
                held, lease = (row[0] if row else None), following
    return measured


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark."""
    deploy(workflow())
    with psycopg.connect(stand.servers.postgres.url(), autocommit=True) as connection:
        connection.execute(TABLES)  # type: ignore[arg-type, unused-ignore]
    runs = max(2, int(40 * scale))
    mine, least = frame.interleaved(rounds, lambda: ours(stand, runs), lambda: floor(stand, runs * STEPS))
    frame.note(f"storage, ours: ms CPU per step: {frame.shares(mine)}")
    frame.note(f"storage, floor: ms CPU per step: {frame.shares(least)}")
    cost, floor_cost = (frame.median(side, lambda m: m.cpu_ms) for side in (mine, least))
    return [
        Row(
            what="journaled step, storage alone, CPU",
            ours=f"{cost:.2f} ms",
            baseline=f"hand-written SQL {floor_cost:.2f} ms",
            ratio=f"{cost / floor_cost:.1f} ×",
            goal="≤ 3 ×",
            met=cost <= 3 * floor_cost,
        )
    ]


if __name__ == "__main__":
    frame.alone(measure)
