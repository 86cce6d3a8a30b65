"""Sign-ins and failed sign-ins, written into the audit log: who, from which address, by which request.

What was typed is never written down: a name that nobody has may well be a password in the wrong field.
"""

from __future__ import annotations

from typing import Final

from django.core.cache import cache
from django.http import HttpRequest

from console.models import User
from workflows import audit
from workflows.actor import Actor

# Of one address within a minute; further failures are in the log of requests only, so that nobody can fill the table.
MOST_FAILURES: Final = 20
_MINUTE_S: Final = 60
_NOBODY: Final = Actor(kind="system", name="sign-in")


def succeeded(request: HttpRequest, user: User) -> None:
    """Write down that somebody signed in."""
    audit.record(
        Actor(kind="user", name=user.username), "member.sign_in", "member", user.username, data=_told(request)
    )


def failed(request: HttpRequest, typed: str) -> None:
    """Write down that a name and a password did not fit, or that the account is off."""
    key = f"failed-sign-ins-{request.META.get('REMOTE_ADDR', '')}"
    cache.add(key, 0, timeout=_MINUTE_S)
    if cache.incr(key) > MOST_FAILURES:
        return
    known = User.objects.filter(username=typed.replace("\0", "")[:150]).first()
    why = "no such member" if known is None else "wrong password" if known.is_active else "switched off"
    name = known.username if known else ""
    audit.record(_NOBODY, "member.sign_in_failed", "member", name, data={"why": why, **_told(request)})


def _told(request: HttpRequest) -> dict[str, str]:
    return {"address": request.META.get("REMOTE_ADDR", ""), "request": getattr(request, "request_id", "")}
