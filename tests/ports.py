"""Ports of servers that tests end and start again under the same address."""

from __future__ import annotations

import secrets
from typing import Final

from console.embedded import free_port

# Below the range from which the kernel takes the near end of outgoing connections (net.ipv4.ip_local_port_range):
# a port in it that is let go for a second may be somebody's for a minute.
_FIRST: Final = 20_000
_LAST: Final = 32_000


def lasting_port() -> int:
    """Return a free loopback port that nobody else is likely to take while its server is down."""
    return free_port(_FIRST + secrets.randbelow(_LAST - _FIRST), tries=200)
