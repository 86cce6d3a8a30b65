"""What of a run is kept, and what retention has taken: said to whoever asks for it. Deletes nothing."""

from __future__ import annotations

from workflows.errors import Conflict
from workflows.models import DeletedRun, Run


def gone(run_id: str) -> str | None:
    """Say that retention deleted a run, and when; None: it did not, or that was more than a year ago."""
    found = DeletedRun.objects.filter(pk=run_id).first() if "\x00" not in run_id else None
    if found is None:
        return None
    return (
        f"Run {found.pk} was deleted on {found.deleted_at:%Y-%m-%d} by the retention of environment "
        f"{found.environment}; it had ended on {found.ended_at:%Y-%m-%d}."
    )


def check_kept(run: Run) -> None:
    """Refuse what needs a run's values where retention may have deleted them. Raises: Conflict."""
    if run.archived_at is not None:
        raise Conflict(
            f"{archived(run)} It can be looked at, but not done again: start a new run.", code="run_archived"
        )


def archived(run: Run) -> str:
    """Say in a sentence that the values of an archived run are deleted, and since when."""
    assert run.archived_at is not None
    days = max(1, (run.archived_at - (run.ended_at or run.created_at)).days)
    return (
        f"The payloads of run {run.pk} were deleted on {run.archived_at:%Y-%m-%d} by retention, "
        f"{days} day{'' if days == 1 else 's'} after it ended."
    )
