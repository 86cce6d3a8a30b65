"""Signatures of Standard Webhooks: who receives a message can tell that we sent it, and when (pure).

May not: let a secret into an error message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"
LEAST_BYTES: Final = 24
EXPECTED: Final = f"{PREFIX} followed by at least {LEAST_BYTES} random bytes in base64"


def key_of(secret: str) -> bytes:
    """Return the bytes that a secret such as `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw` stands for.

    Raises: ValueError, without the secret.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the secret is not {EXPECTED}") from None
    if len(key) < LEAST_BYTES:
        raise ValueError(f"the secret is too short: it has to be {EXPECTED}")
    return key


def sign(key: bytes, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the `webhook-signature` of a message; `timestamp` in seconds since 1970."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(key: bytes, *, message_id: str, timestamp: int, body: bytes) -> tuple[tuple[str, str], ...]:
    """Return the three headers of a message."""
    return (
        ("webhook-id", message_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", sign(key, message_id=message_id, timestamp=timestamp, body=body)),
    )
