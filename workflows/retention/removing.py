"""Archive and delete runs. Raw SQL.

A run goes in two parts. First its own row, in one transaction with a note that it is gone: from then on nobody
finds it. Then what it left in other tables, batch by batch; a prune that was killed is gone on with by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from retrieval import collecting
from workflows.retention import batches, selecting
from workflows.retention.selecting import Tree

EMPTIED: Final = 100  # runs that are emptied together
KEPT_NOTES: Final = "1 year"  # for so long a page says of a deleted run that it was deleted
# What a run leaves in other tables, by its id, children before what they belong to.
OF_RUNS: Final = {
    "calls": "workflows_call",
    "lineage": "workflows_lineage",
    "attempts": "workflows_attempt",
    "events": "workflows_journalevent",
    "approvals": "workflows_approval",
    "signals": "workflows_signal",
    "taints": "workflows_taint",
    "sightings": "workflows_errorsighting",
    "memory_pins": "workflows_memorypin",
    "cached_results": "workflows_cachedresult",
    "secrets": "workflows_secretinput",
    "steps": "workflows_steprun",
}
# A fork remembers in scopes of its own, which nobody else reads.
_OWN_MEMORY: Final = """
SELECT memory.id FROM {runs} AS run JOIN workflows_memory AS memory ON memory.environment_id = run.{environment}
   AND memory.scope = ANY (ARRAY['fork:' || run.root || ':global', 'fork:' || run.root || ':workflow:' || run.workflow,
                                 'fork:' || run.root || ':session:' || run.session])
WHERE run.id = ANY(%(ids)s)
"""
_WITH_ROOTS: Final = """(
SELECT run.*, part.root FROM unnest(%(roots)s::text[], %(ids)s::text[]) AS part (root, id)
JOIN workflows_run AS run ON run.id = part.id)"""
_OF_DELETED: Final = _OWN_MEMORY.format(runs="workflows_deletedrun", environment="environment")
OF_MEMORY: Final = {
    "memory_pins": ("workflows_memorypin", "memory_id"),
    "fork_memory": ("workflows_memoryversion", "memory_id"),
    "fork_keys": ("workflows_memory", "id"),
}
_NOTE: Final = """
INSERT INTO workflows_deletedrun (id, root, workflow, environment, session, ended_at)
SELECT run.id, part.root, run.workflow, run.environment_id, run.session, run.ended_at
FROM unnest(%(roots)s::text[], %(ids)s::text[]) AS part (root, id) JOIN workflows_run AS run ON run.id = part.id
ON CONFLICT (id) DO NOTHING
"""
_PART_FROM_FORKS: Final = """
UPDATE workflows_run SET forked_from_id = NULL WHERE forked_from_id = ANY(%(ids)s) AND NOT id = ANY(%(ids)s)
"""
_DELETE: Final = "DELETE FROM workflows_run WHERE id = ANY(%(ids)s)"
_ARCHIVE: Final = """
UPDATE workflows_run SET archived_at = clock_timestamp() WHERE id = ANY(%(ids)s) AND archived_at IS NULL
"""
_TO_EMPTY: Final = """
SELECT id FROM workflows_deletedrun WHERE emptied_at IS NULL ORDER BY id LIMIT %(limit)s
"""
_EMPTIED: Final = """
UPDATE workflows_deletedrun SET emptied_at = clock_timestamp() WHERE id = ANY(%(ids)s) AND emptied_at IS NULL
"""
_FORGET_SECRETS: Final = "DELETE FROM workflows_secretinput WHERE run_id = ANY(%(ids)s)"
# An action on many runs goes with the last of the runs that it was on, and that it made.
_BULK: Final = """
SELECT id FROM workflows_bulkaction AS bulk WHERE state IN ('finished', 'stopped')
  AND EXISTS (
    SELECT FROM workflows_bulkitem AS item LEFT JOIN workflows_deletedrun AS gone ON gone.id = item.run_id
    WHERE item.bulk_id = bulk.id AND (gone.id IS NOT NULL OR item.run_id = ANY(%(doomed)s)))
  AND NOT EXISTS (
    SELECT FROM workflows_bulkitem AS item JOIN workflows_run AS run ON run.id = item.run_id
    WHERE item.bulk_id = bulk.id AND NOT run.id = ANY(%(doomed)s))
  AND NOT EXISTS (
    SELECT FROM workflows_bulkitem AS item JOIN workflows_run AS run ON run.id = item.made
    WHERE item.bulk_id = bulk.id AND NOT run.id = ANY(%(doomed)s))
"""


def packed(chosen: Sequence[Tree]) -> Iterator[list[Tree]]:
    """Put trees together to about as many runs as one statement may change; a larger tree stands alone."""
    part: list[Tree] = []
    for tree in chosen:
        if part and sum(len(each.runs) for each in [*part, tree]) > batches.ROWS:
            yield part
            part = []
        part.append(tree)
    if part:
        yield part


def archive(chosen: Sequence[Tree]) -> int:
    """Mark the runs of trees whose values are to be deleted, secrets at once; return how many runs that are."""
    return _with_held(chosen, _archive)


def _archive(trees: Sequence[Tree]) -> int:
    ids = {"ids": _ids(trees)}
    batches.changed(_FORGET_SECRETS, ids)
    return batches.changed(_ARCHIVE, ids)


def delete(chosen: Sequence[Tree]) -> int:
    """Delete the runs of trees, but for what they left in other tables; return how many runs that are."""
    return _with_held(chosen, _delete)


def _delete(trees: Sequence[Tree]) -> int:
    ids = _ids(trees)
    batches.changed(_NOTE, {"ids": ids, "roots": [tree.root for tree in trees for _ in tree.runs]})
    batches.changed(_PART_FROM_FORKS, {"ids": ids})
    return batches.changed(_DELETE, {"ids": ids})


def _with_held(chosen: Sequence[Tree], change: Callable[[Sequence[Tree]], int]) -> int:
    def work() -> int:
        with batches.batch():
            trees = selecting.held(chosen)
            return change(trees) if trees else 0

    return batches.patiently(work, otherwise=0)


def _ids(trees: Sequence[Tree]) -> list[str]:
    return [run for tree in trees for run in tree.runs]


def to_empty() -> list[str]:
    """Return some deleted runs of which rows may be left."""
    return [row[0] for row in batches.rows(_TO_EMPTY, limit=EMPTIED)]


def all_to_empty() -> list[str]:
    """Return all deleted runs of which rows may be left."""
    return [row[0] for row in batches.rows(_TO_EMPTY, limit=None)]


def empty(ids: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Delete what deleted runs left, batch by batch: (what, how many) of each. Then note that nothing is left.

    Where a lock was in the way to the end, it is left for the next prune.
    """
    left = False
    for what, remove in _removers(list(ids)):
        while True:
            count = remove()
            left = left or count < 0
            if count > 0:
                yield what, count
            if count < batches.ROWS:
                break
    if not left:
        with batches.batch():
            batches.changed(_EMPTIED, {"ids": list(ids)})


def _removers(ids: list[str]) -> Iterator[tuple[str, Callable[[], int]]]:
    for what, table in OF_RUNS.items():
        yield what, partial(batches.deleted, table, "run_id = ANY(%(ids)s)", ids=ids)
    for what, (table, column) in OF_MEMORY.items():
        yield what, partial(batches.deleted, table, f"{column} IN ({_OF_DELETED})", ids=ids)
    yield "searches", partial(_forget_searches, ids)


def _forget_searches(ids: list[str]) -> int:
    def work() -> int:
        with batches.batch():
            return collecting.forget_searches(ids, limit=batches.ROWS)

    return batches.patiently(work, otherwise=-1)


def left_by(ids: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Count what runs have in other tables, as `empty` would delete it."""
    for what, table in OF_RUNS.items():
        yield what, _count(table, "run_id = ANY(%(ids)s)", ids)
    yield "searches", collecting.count_searches(ids)


def memory_of(trees: Sequence[Tree]) -> list[int]:
    """Return the keys that forks remembered for themselves, which go with them."""
    own = _OWN_MEMORY.format(runs=_WITH_ROOTS, environment="environment_id")
    roots = [tree.root for tree in trees for _ in tree.runs]
    return [row[0] for row in batches.rows(own, ids=_ids(trees), roots=roots)]


def of_memory(keys: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Count what keys of forks have, as `empty` would delete it."""
    for what, (table, column) in OF_MEMORY.items():
        yield what, _count(table, f"{column} = ANY(%(ids)s)", keys)


def _count(table: str, condition: str, ids: Sequence[str] | Sequence[int]) -> int:
    statement = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608  our own text
    return int(batches.rows(statement, ids=list(ids))[0][0])


def bulk_actions(doomed: Sequence[str] = ()) -> list[str]:
    """Return the actions on many runs of which no run is left, or would be once those of `doomed` are gone."""
    return [row[0] for row in batches.rows(_BULK, doomed=list(doomed))]


def delete_bulk_action(bulk: str) -> None:
    """Delete an action on many runs, its items first."""
    while batches.deleted("workflows_bulkitem", "bulk_id = %(bulk)s", bulk=bulk) >= batches.ROWS:
        pass
    batches.deleted("workflows_bulkaction", "id = %(bulk)s", bulk=bulk)


def forget_notes() -> None:
    """Drop notes of runs that were deleted long ago."""
    condition = f"emptied_at IS NOT NULL AND deleted_at < clock_timestamp() - interval '{KEPT_NOTES}'"
    while batches.deleted("workflows_deletedrun", condition) >= batches.ROWS:
        pass
