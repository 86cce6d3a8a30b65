"""Errors planted in the engine's statements, for a while: a model that finds none of them is worth nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction

from workflows.engine import functions


@dataclass(frozen=True)
class Mutant:
    """`file` has `right` exactly once; the planted error is `wrong` in its place."""

    name: str
    file: str
    right: str
    wrong: str

    def source(self) -> str:
        """Return the file with the error in it.

        Raises:
            LookupError: the file does not have the text, or has it more than once.
        """
        text = (functions.SQL / f"{self.file}.sql").read_text()
        if text.count(self.right) != 1:
            raise LookupError(
                f"{self.file}.sql has the text that mutant {self.name!r} replaces {text.count(self.right)} times, "
                "not once: bring the mutant up to date."
            )
        return text.replace(self.right, self.wrong)


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Let the database have the error meanwhile."""
    _install(mutant.source())
    try:
        yield
    finally:
        _install((functions.SQL / f"{mutant.file}.sql").read_text())


def _install(source: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL check_function_bodies = off")  # they call each other
        cursor.execute(source)


MUTANTS: Final = (
    Mutant(
        "a commit does not ask whose lease it is",
        "commit",
        "((state = 'running' AND lease = (c ->> 'lease')::uuid)",
        "((state = 'running')",
    ),
    Mutant(
        "a step is claimed though it waits for others",
        "parts",
        "IF v_row.waiting_on > 1 OR p_quiet THEN",
        "IF p_quiet THEN",
    ),
    Mutant(
        "a late result counts down what waits for its step",
        "parts",
        "    UPDATE workflows_steprun SET events = events + 1 WHERE id = (c ->> 'step')::bigint RETURNING * INTO s;",
        "    UPDATE workflows_steprun SET events = events + 1 WHERE id = (c ->> 'step')::bigint RETURNING * INTO s;\n"
        "    UPDATE workflows_steprun SET waiting_on = greatest(waiting_on - 1, 0)\n"
        "     WHERE run_id = s.run_id AND state = 'pending'\n"
        "       AND path IN (SELECT jsonb_array_elements_text(c -> 'successors'));",
    ),
    Mutant(
        "a loss is not counted",
        "leases",
        "losses = losses + (p_how = 'lost')::integer,",
        "losses = losses,",
    ),
    Mutant(
        "a call that may have gone out is made again",
        "leases",
        "CASE WHEN s.sent THEN 'unknown' WHEN",
        "CASE WHEN",
    ),
    Mutant(
        "a call goes out after its lease has run out",
        "leases",
        "\n       AND lease_until > clock_timestamp()",
        "",
    ),
    Mutant(
        "a heartbeat renews what is lost",
        "leases",
        "WHERE state = 'running' AND lease = ANY (p_leases)\n        RETURNING lease",
        "WHERE state = 'running' OR lease = ANY (p_leases)\n        RETURNING lease",
    ),
    Mutant(
        "a run that stops ends before what runs in it",
        "close",
        "IF (r.stopping <> '' AND v_active = 0 AND v_last = 0)",
        "IF (r.stopping <> '' AND v_last = 0)",
    ),
    Mutant(
        "a map is closed while an item goes on",
        "close",
        "IF NOT interlock_open_inside(p, NULL) THEN",
        "IF NOT interlock_open_inside(p, 0) THEN",
    ),
    Mutant(
        "what is ready is not cancelled with its run",
        "cancel_open",
        "AND state IN ('pending', 'ready', 'waiting') AND (p_at_end OR NOT at_end)\n           AND (p_prefix",
        "AND state IN ('pending', 'waiting') AND (p_at_end OR NOT at_end)\n           AND (p_prefix",
    ),
    Mutant(
        "a paused run is resumed with what it still waits for",
        "waits",
        "AND NOT superseded AND state = 'pending' AND waiting_on = 0 AND NOT held",
        "AND NOT superseded AND state = 'pending' AND NOT held",
    ),
    Mutant(
        "the next item of a map is not let go",
        "next_item",
        "     ORDER BY item LIMIT 1\n",
        "     ORDER BY item LIMIT 0\n",
    ),
    Mutant(
        "what is ready stays so in a paused run",
        "waits",
        "WHERE run_id = p_run AND NOT superseded AND state = 'ready';",
        "WHERE run_id = p_run AND superseded AND state = 'ready';",
    ),
)
