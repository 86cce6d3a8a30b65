"""What this worker process runs right now: its leases, who has to stop, who runs alone.

In memory only. The database's word on a lease counts; this is how the threads of one process hear it.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from workflows.engine.commit import Claim


@dataclass
class Active:
    """One attempt in flight. After `until` its lease is no longer renewed: a hung thread must lose it.

    `sent`: a `once` effect has left. Such an attempt goes on without its lease, because what comes back still settles
    an outcome that is unknown otherwise.
    """

    claim: Claim
    until: float  # monotonic
    stop: threading.Event = field(default_factory=threading.Event)
    lost: bool = False
    sent: bool = False


class Process:
    """One worker process. Threads enter and leave attempts; the heartbeat reads and tells."""

    def __init__(self) -> None:
        self.host = socket.gethostname()[:80]
        self.id = f"{self.host}:{os.getpid()}:{secrets.token_hex(3)}"
        self.threads = 0
        self.draining = threading.Event()
        # What ends it for good: who looks after a worker starts it again, of the version that is installed by then.
        self.retire: Callable[[], object] = self.draining.set
        self.heard_at = time.monotonic()  # when a bell last woke a thread of it
        self.served_last = ""  # the lane of the last claim; whichever thread's
        self._lock = threading.Condition()
        self._active: dict[uuid.UUID, Active] = {}
        self._engaged: set[int] = (
            set()
        )  # threads that hold a step, be it between two attempts, or ask for one
        self._choosing = False  # whether one of them may get a step that must run alone
        self._alone: int | None = None  # the thread that holds one

    @contextmanager
    def claiming(self) -> Iterator[bool]:
        """Ask for a step; gives whether nobody here holds one, so that one may come which must run alone.

        As long as it may, the other threads wait: what they took would run beside it.
        """
        me = threading.get_ident()
        with self._lock:
            self._engaged.discard(me)
            self._lock.wait_for(lambda: not self._choosing)
            idle = self._choosing = not self._engaged and not self._active
            self._engaged.add(me)
        try:
            yield idle
        finally:
            if idle:
                with self._lock:
                    self._choosing = False
                    self._lock.notify_all()

    def took(self, claim: Claim) -> None:
        """Note what this thread was given."""
        with self._lock:
            if claim.alone:
                self._alone = threading.get_ident()

    def stand_down(self) -> None:
        """Note that this thread holds nothing any more."""
        me = threading.get_ident()
        with self._lock:
            self._engaged.discard(me)
            if self._alone == me:
                self._alone = None

    @contextmanager
    def running(self, claim: Claim, *, limit_s: float) -> Iterator[Active]:
        """Hold an attempt while it runs."""
        active = Active(claim, until=time.monotonic() + limit_s)
        with self._lock:
            self._active[claim.lease] = active
        try:
            yield active
        finally:
            with self._lock:
                del self._active[claim.lease]
                if claim.alone:
                    self._alone = None
                self._lock.notify_all()

    def takes_more(self) -> bool:
        """Say whether this process may claim: not while it drains, nor beside a step that must run alone."""
        with self._lock:
            return self._alone is None and not self.draining.is_set()

    def has_room(self) -> bool:
        """Say whether a thread of this process stands idle, and may claim."""
        with self._lock:
            busy = len(self._active) >= self.threads
        return not busy and self.takes_more()

    def to_renew(self) -> list[uuid.UUID]:
        """Return the leases to renew."""
        now = time.monotonic()
        with self._lock:
            return [lease for lease, active in self._active.items() if now < active.until]

    def all_leases(self) -> list[uuid.UUID]:
        with self._lock:
            return list(self._active)

    def runs(self) -> list[str]:
        with self._lock:
            return sorted({active.claim.run for active in self._active.values()})

    def gone(self, leases: set[uuid.UUID]) -> None:
        """Tell the attempts whose leases the database does not know any more."""
        with self._lock:
            for lease in leases & self._active.keys():
                active = self._active[lease]
                active.lost = True
                if not active.sent:
                    active.stop.set()

    def stop_runs(self, runs: set[str]) -> None:
        """Ask the attempts of these runs to stop."""
        with self._lock:
            for active in self._active.values():
                if active.claim.run in runs:
                    active.stop.set()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait for running attempts to end; say whether they did."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._active, timeout_s)


process = Process()
