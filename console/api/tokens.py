"""API tokens: made, checked, revoked. Only their sha-256 is stored. Knows no HTTP."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import Q

from console.models import ApiToken, Role
from workflows.actor import Actor
from workflows.models import AuditEntry

PREFIX: Final = "ilk_"
SHOWN: Final = len(PREFIX) + 6
# How exact `last_used_at` is: a busy token must not write a row with each request.
USED_EVERY: Final = timedelta(minutes=1)


class TokenRefusedError(Exception):
    """A token that lets nobody in; the message says why and what to do."""


class TokenInvalidError(Exception):
    """A token that cannot be made as asked."""


@dataclass(frozen=True)
class Created:
    """A new token. `secret` is shown once and kept nowhere."""

    token: ApiToken
    secret: str


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def create(name: str, *, role: str, expires_at: datetime | None, actor: Actor, now: datetime) -> Created:
    """Make a token.

    Raises:
        TokenInvalidError: the name is taken or empty, the role unknown, the expiry past.
    """
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise TokenInvalidError("A token's name has 1 to 100 printable characters.")
    if role not in Role.values:
        raise TokenInvalidError(f"{role!r} is no role; known are {', '.join(Role.values)}.")
    if expires_at is not None and expires_at <= now:
        raise TokenInvalidError(f"The token would expire at {expires_at:%Y-%m-%dT%H:%M:%SZ}, which is past.")
    secret = PREFIX + secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            token = ApiToken.objects.create(
                name=name,
                prefix=secret[:SHOWN],
                token_hash=_digest(secret),
                role=role,
                created_by=str(actor),
                expires_at=expires_at,
            )
            _audit("token.create", token, actor=actor)
    except IntegrityError:
        raise TokenInvalidError(f"There is a token named {name!r} already: choose another name.") from None
    return Created(token, secret)


def revoke(token: ApiToken, *, actor: Actor, now: datetime) -> bool:
    """Revoke a token at once; false where it was revoked before."""
    with transaction.atomic():
        changed = ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=now)
        if changed:
            _audit("token.revoke", token, actor=actor)
    return bool(changed)


def check(secret: str, *, now: datetime) -> ApiToken:
    """Return the token that a secret belongs to, and remember that it was used.

    The same work for every secret: one hash and one look-up by it, so that time tells nothing.

    Raises:
        TokenRefusedError: unknown, revoked or expired.
    """
    token = ApiToken.objects.filter(token_hash=_digest(secret)).first()
    if token is None:
        raise TokenRefusedError("This API token is not known here. Check that it was copied whole.")
    if token.revoked_at is not None:
        raise TokenRefusedError(f"The API token {token.name!r} was revoked. Ask an admin for a new one.")
    if token.expires_at is not None and token.expires_at <= now:
        when = f"{token.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        raise TokenRefusedError(
            f"The API token {token.name!r} expired at {when}. Ask an admin for a new one."
        )
    if token.last_used_at is None or now - token.last_used_at >= USED_EVERY:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USED_EVERY)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token


def _audit(action: str, token: ApiToken, *, actor: Actor) -> None:
    AuditEntry.objects.create(
        actor=str(actor),
        action=action,
        object_kind="token",
        object_id=token.name,
        data={"role": token.role, "expires_at": token.expires_at and token.expires_at.isoformat()},
    )
