"""Which runs are due, by whole trees: a run that a person or a program started, with all that it started. Raw SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workflows.retention import batches, policy
from workflows.retention.policy import Terms

KEEP: Final = "keep"  # a run with this tag is never due
TREES: Final = 200  # looked at with one statement
# What makes a run stay, whenever it ended: it goes on; a person keeps it; it bears witness for a quarantine that
# holds; a fork that goes on takes its effects from its record; an action on many runs has yet to come to it.
_NEEDED: Final = f"""
run.ended_at IS NULL OR run.tags @> ARRAY['{KEEP}']
OR EXISTS (SELECT FROM workflows_taint AS taint JOIN workflows_quarantine AS held ON held.id = taint.quarantine_id
           WHERE taint.run_id = run.id AND held.released_at IS NULL)
OR EXISTS (SELECT FROM workflows_run AS fork WHERE fork.forked_from_id = run.id AND fork.ended_at IS NULL)
OR EXISTS (SELECT FROM workflows_bulkaction AS bulk JOIN workflows_bulkitem AS item ON item.bulk_id = bulk.id
           WHERE bulk.state NOT IN ('finished', 'stopped') AND item.run_id = run.id AND item.outcome = 'pending')
"""  # noqa: S608  our own text
_DUE: Final = f"""
WITH RECURSIVE root AS (
    SELECT id, ended_at FROM workflows_run
    WHERE environment_id = %(environment)s AND parent_id IS NULL AND ended_at IS NOT NULL
      AND (ended_at, id) > (%(after)s, %(after_id)s)
      AND ended_at < greatest(%(before)s, %(before_failed)s)
      AND ended_at < CASE WHEN state = 'failed' THEN %(before_failed)s ELSE %(before)s END
      AND (archived_at IS NULL OR NOT %(archiving)s)
    ORDER BY ended_at, id LIMIT %(limit)s
), tree AS (
    SELECT id AS root, id FROM root
    UNION ALL SELECT tree.root, child.id FROM tree JOIN workflows_run AS child ON child.parent_id = tree.id
)
SELECT root.id, root.ended_at, array_agg(run.id ORDER BY run.id), bool_or({_NEEDED})
FROM root JOIN tree ON tree.root = root.id JOIN workflows_run AS run ON run.id = tree.id
GROUP BY root.id, root.ended_at ORDER BY root.ended_at, root.id
"""  # noqa: S608  our own text
# Who is locked by somebody else is of use to somebody.
_LOCKED: Final = """
SELECT id FROM workflows_run WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE SKIP LOCKED
"""
_STILL: Final = f"SELECT id FROM workflows_run AS run WHERE id = ANY(%(ids)s) AND ({_NEEDED})"  # noqa: S608


@dataclass(frozen=True, kw_only=True)
class Due:
    """What is looked for: runs of an environment that ended before a moment, failed ones before another."""

    environment: str
    before: datetime
    before_failed: datetime
    archiving: bool


@dataclass(frozen=True)
class Tree:
    """A run with all that it started: `runs` are the ids of all of them, its own too."""

    root: str
    runs: tuple[str, ...]


def to_delete(environment: str, terms: Terms, *, now: datetime) -> Due:
    """Say which runs are to be deleted."""
    return Due(
        environment=environment,
        before=policy.before(terms.runs, now=now),
        before_failed=policy.before(terms.failed, now=now),
        archiving=False,
    )


def to_archive(environment: str, terms: Terms, *, now: datetime) -> Due:
    """Say of which runs the values are to be deleted."""
    moment = policy.before(terms.payloads, now=now)
    return Due(environment=environment, before=moment, before_failed=moment, archiving=True)


def trees(due: Due) -> Iterator[list[Tree]]:
    """Return the trees that are due and not needed, the oldest first, a few at a time."""
    after, after_id, found = policy.NEVER, "", TREES
    while found == TREES:
        rows = batches.rows(
            _DUE,
            environment=due.environment,
            before=due.before,
            before_failed=due.before_failed,
            archiving=due.archiving,
            after=after,
            after_id=after_id,
            limit=TREES,
        )
        found = len(rows)
        if rows:
            after_id, after = rows[-1][:2]
        chosen = [Tree(root, tuple(runs)) for root, _, runs, needed in rows if not needed]
        if chosen:
            yield chosen


def held(chosen: Sequence[Tree]) -> list[Tree]:
    """Lock the runs of trees until the transaction ends; return those trees of which nothing is needed now.

    Nobody can start a child of a locked run, fork it or lead it on: all of these lock it first.
    """
    ids = [run for tree in chosen for run in tree.runs]
    locked = {row[0] for row in batches.rows(_LOCKED, ids=ids)}
    needed = {row[0] for row in batches.rows(_STILL, ids=list(locked))}
    return [tree for tree in chosen if locked.issuperset(tree.runs) and needed.isdisjoint(tree.runs)]
