"""Secret input at rest: masked where it is stored, encrypted beside it, and known to those who act with it.

The values of the fields marked `x-secret` lie in `SecretInput`, encrypted, under the root run; its input holds masks,
and so does everything that is rendered from it. Whoever acts for real gets the veil of the tree to reveal what leaves
and to scrub what comes back. May not: put a secret into a message.
"""

from __future__ import annotations

import secrets as randomness
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from providers import cipher
from workflows import database
from workflows.errors import Conflict
from workflows.models import Run
from workflows.spec import secret_fields
from workflows.spec.masks import MASK, NOTHING, Veil, mask
from workflows.spec.places import Path, written
from workflows.spec.secret_fields import LONGEST, MOST, SHORTEST, Marked

Json = Any
_PURPOSE: Final = "interlock request"
_CACHED: Final = 64  # veils that a process keeps


class Unreadable(Exception):
    """The secrets of a run were encrypted with a key that is not here."""


def problems(given: Json, places: tuple[Marked, ...], known: Veil = NOTHING) -> list[tuple[str, str]]:
    """What is wrong with the secrets of an input, as (path, message); their values are not told."""
    found = secret_fields.texts(given, places)
    if len(found) > MOST:
        return [("", f"it has {len(found):,} secrets; at most {MOST:,} are allowed")]
    return [(written(path), told) for path, text in found.items() if (told := _wrong(text, known))]


def _wrong(text: str, known: Veil) -> str | None:
    if text in known.secrets:
        return None
    if MASK.fullmatch(text):
        return "this is the mask of a secret; give its value"
    if not SHORTEST <= len(text) <= LONGEST:
        return (
            f"a secret has {SHORTEST} to {LONGEST:,} characters; a shorter one could not be told from other text, "
            "and so not be masked"
        )
    return None


def seal(given: Json, places: tuple[Marked, ...], known: Veil = NOTHING) -> tuple[Json, Veil]:
    """Return an input with masks for its secrets wherever they stand, and the veil of all of them.

    `known`: secrets that are sealed already; their masks stay as they are.
    """
    found = dict(known.secrets)

    def masked(path: Path, text: str) -> str:
        if text in found:
            return text
        own = mask(str(next(key for key in reversed(path) if isinstance(key, str))), randomness.token_hex(10))
        found[own] = text
        return own

    sealed = secret_fields.changed(given, places, masked)
    veil = Veil(found) if found else NOTHING
    return veil.scrub(sealed), veil


def at_rest(veil: Veil) -> dict[str, Json]:
    """Return what `interlock_start` takes of the secrets of a new root run; nothing where it has none."""
    if not veil.secrets:
        return {}
    ciphertexts = {own: cipher.encrypt(text).decode() for own, text in veil.secrets.items()}
    return {"sealed": True, "secrets": ciphertexts}


def keyed_hashes(data: bytes) -> tuple[bytes, ...]:
    """Return the hashes of a request with secrets, one by each key of the settings, the newest key's first."""
    return cipher.keyed_hashes(data, purpose=_PURPOSE)


def root_of(run: Run) -> str:
    """Return the id of the run under which the secrets of a run lie."""
    return (run.tree_path or run.pk).partition(":")[0]


def of_tree(root: str) -> Veil:
    """Return the secrets of a root run and its child runs; nothing where they are not here (an imported run).

    Raises: Unreadable.
    """
    veil = _veils.get(root)
    if veil is None:
        rows = database.fetch_all(
            "SELECT mask, ciphertext FROM workflows_secretinput WHERE run_id = $1", [root]
        )
        veil = _opened(rows)
        if rows:
            _veils.put(root, veil)
    return veil


def of_run(run: Run) -> Veil:
    """Return the secrets of a run, for whoever writes for it outside of its steps.

    Raises: Conflict where they cannot be read.
    """
    if not run.sealed:
        return NOTHING
    try:
        return of_tree(root_of(run))
    except Unreadable as problem:
        raise Conflict(f"{problem} Run {run.pk} was not changed.", code="secret_unreadable") from None


def _opened(rows: Sequence[tuple[str, bytes]]) -> Veil:
    try:
        return Veil({own: cipher.decrypt(bytes(ciphertext)) for own, ciphertext in rows})
    except cipher.Unreadable:
        raise Unreadable(
            "The run's secret input was encrypted with another key than INTERLOCK_ENCRYPTION_KEY; put that key back, "
            "behind the new one and a comma."
        ) from None


class _Veils:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.kept: OrderedDict[str, Veil] = OrderedDict()

    def get(self, root: str) -> Veil | None:
        with self.lock:
            if root in self.kept:
                self.kept.move_to_end(root)
            return self.kept.get(root)

    def put(self, root: str, veil: Veil) -> None:
        with self.lock:
            self.kept[root] = veil
            while len(self.kept) > _CACHED:
                self.kept.popitem(last=False)

    def clear(self) -> None:
        with self.lock:
            self.kept.clear()


_veils = _Veils()


def forget_all() -> None:
    """Read every run's secrets again at their next use."""
    _veils.clear()
