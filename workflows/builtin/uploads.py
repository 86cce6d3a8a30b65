"""Keep the bytes of uploaded documents until they are ingested."""

from __future__ import annotations

import hashlib

from workflows import database
from workflows.engine.outcomes import StepFailure


def keep(data: bytes) -> str:
    """Store bytes and return their sha-256 in hex. The same bytes are stored once."""
    sha = hashlib.sha256(data).digest()
    database.fetch_all(
        "INSERT INTO workflows_upload (sha, size, body) VALUES ($1, $2, $3) "
        "ON CONFLICT (sha) DO UPDATE SET kept_at = clock_timestamp() RETURNING 1",
        [sha, len(data), data],
    )
    return sha.hex()


def read(sha: str) -> bytes:
    """Return the bytes of a hash. Raises: StepFailure."""
    rows = database.fetch_all("SELECT body FROM workflows_upload WHERE sha = $1", [bytes.fromhex(sha)])
    if not rows:
        raise StepFailure(
            f"The uploaded document {sha[:12]}… is not stored any more: upload it again.",
            error_class="upload_gone",
        )
    return bytes(rows[0][0])
