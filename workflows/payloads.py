"""Content-addressed values: canonical JSON, its sha-256, compression, a bounded cache.

A payload never changes, so a cached one is right for ever. The canonical form is ASCII: texts with NUL bytes
or lone surrogates keep their exact value on the way through bytea.

A list inside a value may be stored part by part, each under its own hash: fifty requests of one conversation keep
each message once. The value's own hash is that of the whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from workflows import database

Json = Any  # a JSON value; documented where it matters
COMPRESS_FROM: Final = 512
LITERAL_BYTES: Final = 16 * 1024
# The first byte of a body whose list lies in payloads of its own; neither JSON nor zlib begins so.
PARTS: Final = b"\x00"
PARTS_FROM: Final = 4  # a shorter list is cheaper whole
CACHE_BYTES: Final = 64 * 1024 * 1024
AT_ONCE: Final = 500  # values read with one statement where there may be any number


class PayloadMissing(Exception):
    """A payload that a record names is not stored any more (retention)."""


# What reading a payload may raise: it is gone, its stored form is damaged, or the database refuses to give it.
UNREADABLE: Final = (PayloadMissing, zlib.error, ValueError, psycopg.Error)


def canonical(value: Json) -> bytes:
    """Return the canonical JSON of a value: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def digest(value: Json) -> bytes:
    """Return the 32 bytes that name a value."""
    return hashlib.sha256(canonical(value)).digest()


def name_of(key: bytes | memoryview | None) -> str | None:
    """Return the hash in a column as everything but the database writes it: in hex; none is none."""
    return None if key is None else bytes(key).hex()


@dataclass
class Batch:
    """Payloads to be written with a commit, each once."""

    values: dict[bytes, tuple[int, bool, bytes]] = field(default_factory=dict)

    def add(self, value: Json) -> str:
        """Take a value in; return its hash in hex."""
        body = canonical(value)
        key = hashlib.sha256(body).digest()
        if key not in self.values:
            compressed = len(body) >= COMPRESS_FROM
            self.values[key] = (len(body), compressed, zlib.compress(body, 3) if compressed else body)
            _cache.put(key, value, len(body))
        return key.hex()

    def value(self, key: str) -> Json:
        """Return a value that was taken in, by its hash in hex."""
        _, compressed, body = self.values[bytes.fromhex(key)]
        return _value(body, compressed=compressed)

    def add_in_parts(self, value: Json, *, parts: Sequence[str]) -> str:
        """Take a value in whose list at the path `parts` is stored piece by piece; return its hash in hex."""
        pieces = _at(value, parts)
        if not isinstance(pieces, list) or len(pieces) < PARTS_FROM:
            return self.add(value)
        whole = canonical(value)
        key = hashlib.sha256(whole).digest()
        if key not in self.values:
            held = _with(value, parts, [self.add(piece) for piece in pieces])
            body = PARTS + zlib.compress(canonical([list(parts), held]), 3)
            self.values[key] = (len(whole), True, body)
            _cache.put(key, value, len(whole))
        return key.hex()

    def columns(self) -> tuple[str, str, str, str | list[bytes]]:
        """Return what `interlock_keep` takes: hashes, sizes, whether compressed, bodies.

        Array literals: the driver's own way with lists costs a sixth of a step's Python. Large bodies go as
        they are, since in a literal they would be twice as long.
        """
        rows = self.values.values()
        bodies = [r[2] for r in rows]
        return (
            _bytea_array(self.values),
            "{" + ",".join(str(r[0]) for r in rows) + "}",
            "{" + ",".join("t" if r[1] else "f" for r in rows) + "}",
            _bytea_array(bodies) if sum(map(len, bodies)) <= LITERAL_BYTES else bodies,
        )


def _bytea_array(values: Iterable[bytes]) -> str:
    return "{" + ",".join(f'"\\\\x{value.hex()}"' for value in values) + "}"


class _Cache:
    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self.items: OrderedDict[bytes, tuple[Json, int]] = OrderedDict()
        self.lock = threading.Lock()

    def put(self, key: bytes, value: Json, size: int) -> None:
        if size > self.limit // 8:
            return
        with self.lock:
            if key in self.items:
                return
            self.items[key] = (value, size)
            self.used += size
            while self.used > self.limit:
                self.used -= self.items.popitem(last=False)[1][1]

    def get(self, keys: Iterable[bytes]) -> dict[bytes, Json]:
        found = {}
        with self.lock:
            for key in keys:
                if key in self.items:
                    self.items.move_to_end(key)
                    found[key] = self.items[key][0]
        return found


_cache = _Cache(CACHE_BYTES)


def store(batch: Batch) -> None:
    """Write the payloads of a batch that no commit brings along."""
    database.call("interlock_keep", *batch.columns())


def touch(hashes: Iterable[bytes | memoryview]) -> None:
    """Say that stored values are of use again: whoever writes hashes into a table without the values has to.

    In the order of the hashes, as `interlock_keep` goes, so that two of them do not wait for each other.
    """
    database.fetch_all(
        """
        WITH used AS (
            SELECT hash FROM workflows_payload
             WHERE hash = ANY($1) AND touched_at < clock_timestamp() - interval '12 hours' ORDER BY hash FOR UPDATE)
        UPDATE workflows_payload AS payload SET touched_at = clock_timestamp() FROM used
         WHERE payload.hash = used.hash RETURNING 1
        """,
        [sorted({bytes(key) for key in hashes})],
    )


def load(hashes: Iterable[str | bytes | memoryview]) -> Mapping[str, Json]:
    """Return the values of many hashes, by hex.

    Values are shared with the cache: read them, never change them.

    Raises:
        PayloadMissing: one of them is not stored.
    """
    keys = {bytes.fromhex(h) if isinstance(h, str) else bytes(h) for h in hashes}
    found = _cache.get(keys)
    missing = [key for key in keys if key not in found]
    if missing:
        rows = database.fetch_all(
            "SELECT hash, compressed, body, size FROM workflows_payload WHERE hash = ANY($1)", [missing]
        )
        for key, compressed, body, size in rows:
            found[key] = value = _value(bytes(body), compressed=compressed)
            _cache.put(key, value, size)
    if len(found) < len(keys):
        lost = next(key for key in keys if key not in found)
        raise PayloadMissing(f"Payload {lost.hex()[:12]}… is not stored any more.")
    return {key.hex(): value for key, value in found.items()}


def kept(hashes: Iterable[str | bytes | memoryview]) -> Mapping[str, Json]:
    """Return the values of any number of hashes, by hex; those that are gone or damaged are left out."""
    wanted = list({bytes.fromhex(h) if isinstance(h, str) else bytes(h) for h in hashes})
    found: dict[str, Json] = {}
    for low in range(0, len(wanted), AT_ONCE):
        part = wanted[low : low + AT_ONCE]
        try:
            found |= load(part)
        except UNREADABLE:
            for key in part:
                with contextlib.suppress(*UNREADABLE):
                    found |= load([key])
    return found


def _value(body: bytes, *, compressed: bool) -> Json:
    if not body.startswith(PARTS):
        return json.loads(zlib.decompress(body) if compressed else body)
    parts, value = json.loads(zlib.decompress(body[len(PARTS) :]))
    keys = _at(value, parts)
    pieces = load(keys)
    return _with(value, parts, [pieces[key] for key in keys])


def _at(value: Json, path: Sequence[str]) -> Json:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _with(value: Mapping[str, Json], path: Sequence[str], new: Json) -> Json:
    """Return a copy of a value with something else at a path."""
    if not path:
        return new
    return {**value, path[0]: _with(value[path[0]], path[1:], new)}


def load_one(key: str | bytes | memoryview | None) -> Json:
    """Return one value; no hash is null."""
    if key is None:
        return None
    return next(iter(load([key]).values()))


def beginning(key: bytes | memoryview, *, limit: int) -> tuple[bytes, int]:
    """Return at most `limit` bytes of a value's canonical form, and how long it is in all.

    A value of 20 MB is neither read nor unpacked for this.

    Raises:
        PayloadMissing: it is not stored.
    """
    rows = database.fetch_all(
        "SELECT compressed, size, substr(body, 1, $2) FROM workflows_payload WHERE hash = $1",
        [bytes(key), limit + 1024],  # packed it is no longer, but for its own frame
    )
    if not rows:
        raise PayloadMissing(f"Payload {bytes(key).hex()[:12]}… is not stored any more.")
    compressed, size, body = rows[0]
    if bytes(body).startswith(PARTS):
        return canonical(load_one(key))[:limit], size
    text = zlib.decompressobj().decompress(bytes(body), limit) if compressed else bytes(body)[:limit]
    return text, size


def clean_text(text: str, *, limit: int = 4000) -> str:
    """Make a text safe for the database's own text and jsonb: no NUL, no lone surrogate, bounded."""
    text = text[:limit].replace("\x00", "\\u0000")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
