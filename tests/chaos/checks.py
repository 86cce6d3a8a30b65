"""What must hold when the dust has settled, from the database and from the witness outside. Changes nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from tests.chaos.load import Accepted
from tests.witness import Witness
from workflows import database, payloads

# Open runs, but for those that wait for a person about an unknown outcome.
OPEN = """
SELECT id FROM workflows_run r WHERE ended_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM workflows_steprun s WHERE s.run_id = r.id AND s.state = 'unknown')
"""
# A child run that lives on after its parent, and a place under a key that an ended run or too many hold.
ORPHANS = """
SELECT 'run ' || c.id || ' goes on although its parent has ended' FROM workflows_run c
  JOIN workflows_run p ON p.id = c.parent_id WHERE c.ended_at IS NULL AND p.ended_at IS NOT NULL
UNION ALL
SELECT 'step ' || run_id || ' ' || path || ' started ' || count(*) || ' child runs' FROM (
    SELECT parent_id AS run_id, parent_path AS path FROM workflows_run WHERE parent_path IS NOT NULL) AS started
 GROUP BY run_id, path HAVING count(*) > 1
UNION ALL
SELECT 'approval ' || id || ' is open' FROM workflows_approval WHERE closed_at IS NULL
"""
UNKNOWN = "SELECT run_id, path FROM workflows_steprun WHERE state = 'unknown' ORDER BY id"
CONDEMNED = """
SELECT id FROM workflows_run WHERE state = 'failed' AND error ->> 'class' = 'poison' ORDER BY id
"""
# Chains of n: from 1, without a gap or a double; and as long as the counters of the rows say.
BROKEN_CHAINS = """
SELECT run_id || ' ' || coalesce(step, 'run') || ': ' || count(*) || ' events to n = ' || max(n)
  FROM workflows_journalevent GROUP BY run_id, step, epoch
HAVING min(n) <> 1 OR max(n) <> count(*) OR count(DISTINCT n) <> count(*)
"""
WRONG_COUNTERS = """
SELECT s.run_id || ' ' || s.path || ': ' || s.events || ' events by its counter, ' || count(j.seq) || ' written'
  FROM workflows_steprun s LEFT JOIN workflows_journalevent j
    ON j.run_id = s.run_id AND j.step = s.path AND j.epoch = s.epoch
 GROUP BY s.id HAVING s.events <> count(j.seq)
UNION ALL
SELECT r.id || ': ' || r.events || ' events by its counter, ' || count(j.seq) || ' written'
  FROM workflows_run r LEFT JOIN workflows_journalevent j ON j.run_id = r.id AND j.step IS NULL
 GROUP BY r.id HAVING r.events <> count(j.seq)
"""
# The state that the journal tells of, beside the state of the row. A late result changes nothing.
DIFFERENT_STATES = """
SELECT s.run_id || ' ' || s.path || ' is ' || s.state || ', its journal ends with ' || last.type
  FROM workflows_steprun s
  CROSS JOIN LATERAL (
    SELECT type, data FROM workflows_journalevent j
     WHERE j.run_id = s.run_id AND j.step = s.path AND j.epoch = s.epoch AND j.type <> 'attempt.late'
     ORDER BY n DESC LIMIT 1) last
 WHERE NOT s.superseded
   AND (CASE WHEN last.type LIKE 'attempt.%' THEN last.data ->> 'state' ELSE substr(last.type, 6) END <> s.state
        OR coalesce(last.data ->> 'output', '') <> coalesce(encode(s.output_hash, 'hex'), ''))
"""
LEFT_BEHIND = """
SELECT 'a lease on ' || run_id || ' ' || path FROM workflows_steprun WHERE lease IS NOT NULL
UNION ALL
SELECT 'attempt ' || number || ' of step run ' || step_run_id || ' is running'
  FROM workflows_attempt WHERE state = 'running'
UNION ALL
SELECT 'a connection: ' || application_name || ' ' || coalesce(query, '') FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
   AND state <> 'idle'
UNION ALL
SELECT 'a prepared transaction ' || gid FROM pg_prepared_xacts
UNION ALL
SELECT 'a temporary table ' || relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'
"""


def texts(sql: str) -> list[str]:
    return [str(row[0]) for row in database.fetch_all(sql, [])]


def diverged(accepted: Sequence[Accepted]) -> list[str]:
    """Return the runs that did not give what a run without faults gives, and those that are not there."""
    rows = database.fetch_all("SELECT id, state, output_hash, error FROM workflows_run", [])
    found = {run: (state, output, error) for run, state, output, error in rows}
    wrong = []
    for each in accepted:
        state, output, error = found.get(each.run, ("lost", None, None))
        given = payloads.load_one(output)
        if state != each.order.state or given != each.order.output:
            wrong.append(f"{each.run} ({each.order.workflow}) {state}: {str(given or error)[:300]}")
    return wrong


def lost(accepted: Sequence[Accepted]) -> list[str]:
    """Return the accepted runs that the database does not know."""
    known = set(texts("SELECT id FROM workflows_run"))
    return [each.run for each in accepted if each.run not in known]


def repeated(witness: Witness) -> list[str]:
    """Return `once` calls that were sent twice, and steps whose repeated calls did not carry the same key."""
    once = Counter(call.key for call in witness.calls if call.path == "/pay")
    wrong = [f"once key {key} came {count} times" for key, count in once.items() if count > 1]
    keys: dict[tuple[str, str], set[str]] = defaultdict(set)
    for call in witness.calls:
        keys[call.headers["x-interlock-run"], call.headers["x-interlock-step"]].add(call.key)
    return wrong + [f"{step}: keys {sorted(found)}" for step, found in keys.items() if len(found) > 1]


def called(witness: Witness, run: str, path: str) -> bool:
    """Say whether the witness saw a call of this step."""
    return any(
        call.headers["x-interlock-run"] == run and call.headers["x-interlock-step"] == path
        for call in witness.calls
    )


def journal() -> list[str]:
    """Return what the journal and the tables do not agree on."""
    return [*texts(BROKEN_CHAINS), *texts(WRONG_COUNTERS), *texts(DIFFERENT_STATES), *texts(ORPHANS)]


def all_of(run: str) -> list[str]:
    """Return what there is of a run that is stuck, for the report."""
    rows = database.fetch_all(
        "SELECT path, state, reason, waiting_on, held, settling, ready_at FROM workflows_steprun "
        "WHERE run_id = $1 ORDER BY id",
        [run],
    )
    events = database.fetch_all(
        "SELECT at::time, type, step, n, data FROM workflows_journalevent WHERE run_id = $1 ORDER BY seq",
        [run],
    )
    states = database.fetch_all(
        "SELECT state, stopping, closing, admitted FROM workflows_run WHERE id = $1", [run]
    )
    return [f"    {' '.join(str(part) for part in row)[:200]}" for row in (*states, *rows, *events)]


def unknown() -> list[tuple[Any, ...]]:
    return database.fetch_all(UNKNOWN, [])
