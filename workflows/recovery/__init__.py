"""Lead runs on that failed or were cancelled, and settle what the system cannot decide itself.

Finished work is kept, whatever it was. Nothing here acts on the outside: it changes recorded state, and the engine
goes on from there by its normal door.
"""

from workflows.recovery.previewing import preview
from workflows.recovery.resolving import resolve
from workflows.recovery.retrying import retry

__all__ = ["preview", "resolve", "retry"]
