"""Whether this installation can do its work: for load balancers and supervisors. Public, small, quick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import kombu.exceptions
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from console import access, probing
from console.celery import app

_BROKER_FAULTS: Final = (OSError, kombu.exceptions.OperationalError, kombu.exceptions.KombuError)


@access.public
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers."""
    return _answer(200, {"status": "alive"})


@access.public
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether database, broker and at least one worker answer; 503 where one does not."""
    found = {name: _result(probe) for name, probe in PROBES.items()}
    ready = all(part["ok"] for part in found.values())
    return _answer(200 if ready else 503, {"status": "ready" if ready else "not ready", "checks": found})


def _answer(status: int, body: dict[str, Any]) -> JsonResponse:
    answer = JsonResponse(body, status=status)
    answer["Cache-Control"] = "no-store"
    return answer


def _result(probe: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"ok": True, "detail": probe()}
    except probing.ProbeError as error:
        return {"ok": False, "detail": str(error)}


def _database() -> str:
    probing.ask("SELECT 1")
    return "answers"


def _broker() -> str:
    try:
        with app.connection_for_write(connect_timeout=probing.PROBE_S) as broker:
            broker.ensure_connection(max_retries=1, timeout=probing.PROBE_S)
    except _BROKER_FAULTS as error:
        raise probing.ProbeError(
            f"The broker does not answer ({type(error).__name__}): runs go on more slowly without it."
        ) from None
    return "answers"


def _workers() -> str:
    row = probing.ask(
        "SELECT count(*) FROM workflows_worker"
        " WHERE NOT draining AND seen_at > clock_timestamp() - make_interval(secs => %s)",
        settings.LEASE_S,
    )
    count = row[0] if row else 0
    if not count:
        raise probing.ProbeError("No worker is alive: start one with `manage.py worker`.")
    return f"{count} alive"


PROBES: Final[dict[str, Callable[[], str]]] = {
    "database": _database,
    "broker": _broker,
    "workers": _workers,
}
