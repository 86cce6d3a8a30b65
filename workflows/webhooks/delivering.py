"""Deliver what is due: the clock hands deliveries to threads of this process, some at once, and never waits.

A process that dies leaves its deliveries to their leases: they are sent again, so the other side may get a message
twice, under the same `webhook-id`. May not: decide when to try again; `outbox` does.
"""

from __future__ import annotations

import random
import threading
import time
from datetime import datetime
from typing import Final

import structlog
from django.conf import settings
from django.db import connection

from providers import credentials
from providers.errors import ProviderError
from workflows import database
from workflows.webhooks import outbox, sending, signing
from workflows.webhooks.outbox import Parcel
from workflows.webhooks.sending import Answer

log = structlog.get_logger()
AT_ONCE: Final = 12
_free = threading.BoundedSemaphore(AT_ONCE)


def tend() -> None:
    """Hand out deliveries that are due. A duty of the engine's clock."""
    places = _reserve()
    taken: tuple[Parcel, ...] = ()
    try:
        if places:
            taken = outbox.take(now=_now(), limit=places)
    finally:
        for _ in range(places - len(taken)):
            _free.release()
    for parcel in taken:
        threading.Thread(target=_carry, args=(parcel,), name="webhook", daemon=True).start()


def _reserve() -> int:
    """Take the places that are free."""
    places = 0
    while places < AT_ONCE and _free.acquire(blocking=False):
        places += 1
    return places


def _carry(first: Parcel) -> None:
    """Send a delivery, and go on with what is due: a flood does not wait for the clock."""
    parcel: Parcel | None = first
    try:
        while parcel is not None:
            deliver(parcel)
            parcel = next(iter(outbox.take(now=_now(), limit=1)), None)
    except database.AWAY as error:
        log.warning("webhooks_wait_for_database", error=str(error)[:200])
    except Exception:
        log.exception("webhooks_failed", webhook=first.webhook, delivery=first.delivery)
    finally:
        _free.release()
        connection.close()


def deliver(parcel: Parcel) -> Answer:
    """Send one delivery and write down what came of it."""
    answer = _sent(parcel)
    kept = outbox.settle(parcel, answer, now=_now(), spread=random.random())  # noqa: S311  jitter
    log.info(
        "webhook_delivered" if answer.ok else "webhook_not_delivered",
        webhook=parcel.webhook,
        event_type=parcel.type,
        delivery=parcel.delivery,
        status=answer.status,
        kept=kept,
    )
    return answer


def _sent(parcel: Parcel) -> Answer:
    try:
        key = signing.key_of(credentials.resolve(parcel.secret))
    except ProviderError as error:
        return Answer(error=error.message)
    except ValueError as error:
        return Answer(error=f"{parcel.secret} cannot sign: {error}.")
    finally:
        connection.close()  # back to the pool: none is held while the other side is waited for
    body = parcel.body()
    headers = signing.headers(key, message_id=parcel.event, timestamp=int(time.time()), body=body)
    return sending.send(parcel.url, body, headers, allow=settings.TOOL_ALLOW)


def forget_old() -> None:
    """Drop what is older than a month, a batch at a time. A duty of the engine's clock."""
    try:
        while outbox.forget(_now()):
            pass
    finally:
        connection.close()


def _now() -> datetime:
    now: datetime = database.fetch_all("SELECT clock_timestamp()", [])[0][0]
    return now
