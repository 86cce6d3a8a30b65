"""Credentials: `env:NAME` from the environment, `secret:NAME` from the database, encrypted at rest.

A credential's value leaves this module only towards an adapter; no message of an error holds it. Names of
environment variables are limited by `settings.CREDENTIAL_NAMES`, so that a document cannot read others.
"""

from __future__ import annotations

import os
import time
from fnmatch import fnmatchcase
from threading import Lock

from django.conf import settings
from django.db import DatabaseError, connection

from providers import cipher
from providers.errors import ProviderError
from providers.models import Secret

# How long a process goes on with a stored credential before it reads it again.
_KEPT_S = 30.0
_kept: dict[str, tuple[float, str]] = {}
_lock = Lock()


def resolve(reference: str) -> str:
    """The value of `env:NAME` or `secret:NAME`. Raises: ProviderError(missing_credential)."""
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        value = _from_environment(name)
    elif kind == "secret" and name:
        value = _stored(name)
    else:
        raise _missing(f"{reference!r} names no credential: write env:NAME or secret:NAME.")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise _missing(f"The credential {reference} holds characters that no HTTP header may; set it again.")
    return value


def store(name: str, *, value: str) -> None:
    """Set the credential `secret:NAME`, new or instead of the one there."""
    ciphertext = cipher.encrypt(value.strip())
    Secret.objects.update_or_create(name=name, defaults={"ciphertext": ciphertext})
    _forget(name)


def delete(name: str) -> bool:
    """Remove `secret:NAME`; whether there was one."""
    removed, _ = Secret.objects.filter(name=name).delete()
    _forget(name)
    return removed > 0


def forget_all() -> None:
    """Read every stored credential again at its next use."""
    with _lock:
        _kept.clear()


def _from_environment(name: str) -> str:
    allowed = settings.CREDENTIAL_NAMES
    if not any(fnmatchcase(name, pattern) for pattern in allowed):
        raise _missing(
            f"The settings do not allow documents to read {name}; "
            f"INTERLOCK_CREDENTIAL_NAMES allows: {' '.join(allowed) or 'none'}."
        )
    # The one read of the environment outside the settings: which names there are, only documents know.
    value = os.environ.get(name, "").strip()
    if not value:
        raise _missing(f"The environment variable {name} is not set; set it and restart the workers.")
    return value


def _stored(name: str) -> str:
    now = time.monotonic()
    with _lock:
        until, value = _kept.get(name, (0.0, ""))
    if now < until:
        return value
    value = _decrypted(name, _ciphertext(name))
    with _lock:
        _kept[name] = (now + _KEPT_S, value)
    return value


def _ciphertext(name: str) -> bytes:
    """Read one row, and give the connection back if this opened it: the caller will wait on a provider."""
    was_open = connection.connection is not None
    try:
        found = Secret.objects.filter(name=name).values_list("ciphertext", flat=True).first()
    except DatabaseError as error:
        raise _missing(
            f"The credential secret:{name} cannot be read: the database does not answer."
        ) from error
    finally:
        if not was_open:
            connection.close()
    if found is None:
        raise _missing(f"There is no credential secret:{name}; store it with `manage.py secret set`.")
    return bytes(found)


def _decrypted(name: str, ciphertext: bytes) -> str:
    try:
        return cipher.decrypt(ciphertext)
    except cipher.Unreadable as error:
        raise _missing(
            f"The credential secret:{name} was encrypted with another key than INTERLOCK_ENCRYPTION_KEY; "
            "restore that key or store the credential again."
        ) from error


def _forget(name: str) -> None:
    with _lock:
        _kept.pop(name, None)


def _missing(message: str) -> ProviderError:
    return ProviderError(message, error_class="missing_credential")
