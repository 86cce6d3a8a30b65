"""Fault points compiled into the engine, so that tests can kill it at every point of a step.

Off unless settings.FAULTS names a point: `after_claim:kill` or `before_act:kill:0.05` (a probability).
"""

from __future__ import annotations

import os
import random
import signal
from typing import Final

from django.conf import settings

POINTS: Final = frozenset(
    {"before_claim", "after_claim", "before_act", "after_act", "after_commit", "before_dispatch"}
)


def point(name: str, *, detail: str = "") -> None:
    """Die here, if the settings say so. `detail` narrows a fault to one step id: `after_act@pay:kill`."""
    if not settings.FAULTS:
        return
    for fault in settings.FAULTS:
        where, action, *chance = fault.split(":")
        spot, _, only = where.partition("@")
        if spot != name or (only and only != detail):
            continue
        if chance and random.random() >= float(chance[0]):  # noqa: S311  not for secrets
            continue
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
