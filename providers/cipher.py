"""The one way in which anything is encrypted at rest: `settings.ENCRYPTION_KEY`, a list of keys behind commas.

The first key encrypts; the others still decrypt, so that a key can be replaced while what it encrypted is in use.
"""

from __future__ import annotations

import base64
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unreadable(Exception):
    """It was encrypted with another key than those in the settings, or it is damaged."""


def encrypt(text: str) -> bytes:
    """Return a text as ciphertext: another one each time."""
    return _cipher().encrypt(text.encode("utf-8", "surrogatepass"))


def decrypt(ciphertext: bytes) -> str:
    """Return the text of a ciphertext. Raises: Unreadable."""
    try:
        return _cipher().decrypt(ciphertext).decode("utf-8", "surrogatepass")
    except (InvalidToken, ValueError) as error:
        raise Unreadable from error


def keyed_hashes(data: bytes, *, purpose: str) -> tuple[bytes, ...]:
    """Return 32 bytes by each key, the first key's first: equal data can be told, and nobody without a key can try
    values until one fits."""
    hashes = []
    for key in _keys():
        own = hmac.digest(base64.urlsafe_b64decode(key), purpose.encode(), "sha256")
        hashes.append(hmac.digest(own, data, "sha256"))
    return tuple(hashes)


def _cipher() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in _keys()])


def _keys() -> list[str]:
    return [key.strip() for key in settings.ENCRYPTION_KEY.split(",")]
