"""Which addresses a tool may call: public ones, and those that the settings name.

Pure: it resolves no name and opens no connection; network.py asks it about every address before it connects.
The networks are those of IANA's registries of special-purpose addresses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from workflows.tools import hosts
from workflows.tools.errors import refused

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_METADATA = frozenset(
    map(ip_address, ("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
)
# The first that holds the address says what it is.
_SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "reserved"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared (carrier-grade NAT)"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "reserved"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "private"),
        ("198.51.100.0/24", "reserved"),
        ("203.0.113.0/24", "reserved"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved"),  # Teredo, benchmarking, ORCHID
        ("2001:db8::/32", "reserved"),
        ("2002::/16", "reserved"),  # 6to4
        ("3fff::/20", "reserved"),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)  # bits 64 to 95 of an address that carries an IPv4 address in its last 32
# A name in the settings vouches for hosts of ours; whoever answers for the name may not point it at these.
_NEVER_BY_NAME = frozenset({"metadata", "link-local", "multicast", "unspecified"})
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True)
class Entry:
    """One entry of the settings: a network (an address is a network of one) or a host name, and its port."""

    network: Network | None
    host: str | None
    port: int | None


@dataclass(frozen=True)
class Allowed:
    """What the settings open beyond the public addresses."""

    entries: tuple[Entry, ...] = ()

    @classmethod
    def parse(cls, entries: Sequence[str]) -> Allowed:
        """Read `INTERLOCK_TOOL_ALLOW`: addresses, networks and host names, each with or without `:port`.

        Raises: ValueError that names the entry.
        """
        return _parsed(tuple(entries))

    def names(self, host: str, port: int) -> bool:
        return any(entry.host == host and entry.port in (None, port) for entry in self.entries)

    def lists(self, address: Address, port: int) -> bool:
        return any(
            entry.network is not None
            and entry.network.version == address.version
            and address in entry.network
            and entry.port in (None, port)
            for entry in self.entries
        )


def permitted(host: str, addresses: Sequence[Address], *, port: int, allowed: Allowed) -> tuple[Address, ...]:
    """The addresses of a host that may be connected to, in their order; never empty.

    One refused address refuses the host; where the settings open another of its addresses, it is left out.

    Raises: ToolError(address_refused).
    """
    named = allowed.names(host, port)
    good, opened, bad = [], False, ""
    for address in map(plain, addresses):
        what = special(address)
        listed = allowed.lists(address, port) or (named and what not in _NEVER_BY_NAME)
        if what is None or listed:
            good.append(address)
            opened = opened or listed
        else:
            bad = bad or f"{address} ({what})"
    if bad and not opened:
        what = bad if host == bad.split(" ", 1)[0] else f"{host} has the address {bad}, which"
        raise refused(
            "address_refused",
            f"{what} is not public: tools may call it only if INTERLOCK_TOOL_ALLOW names it.",
        )
    if not good:
        raise refused("connect", f"{host} has no address.")
    return tuple(dict.fromkeys(good))


def plain(address: Address) -> Address:
    """The address that a connection really goes to: an IPv4-mapped one is the IPv4 address inside it."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def special(address: Address) -> str | None:
    """What makes an address other than public, in a word or two; None for a public one."""
    address = plain(address)
    if address in _METADATA:
        return "metadata"
    for network, what in _SPECIAL:
        if network.version == address.version and address in network:
            return what
    return _special_v6(address) if isinstance(address, IPv6Address) else None


def _special_v6(address: IPv6Address) -> str | None:
    """The same for IPv6 addresses that no network of the table holds."""
    inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64:
        return special(inner)
    if address not in _GLOBAL_UNICAST:
        return "reserved"
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return special(inner)
    return None


@lru_cache(maxsize=64)
def _parsed(entries: tuple[str, ...]) -> Allowed:
    return Allowed(tuple(_entry(text.strip()) for text in entries))


def _entry(text: str) -> Entry:
    name, port = _split_port(text)
    try:
        network = ipaddress.ip_network(name)
        if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
            network = ip_network((network.network_address.ipv4_mapped, max(network.prefixlen - 96, 0)))
        return Entry(network, None, port)
    except ValueError:
        host = hosts.normal(name)
    if host is None or hosts.literal(host) is not None:
        raise ValueError(
            f"{text!r} is no address, network or host name, with or without :port; "
            "write 10.0.0.5, 10.0.0.0/8, [fd00::5]:8080 or shop.internal:8080."
        )
    return Entry(None, host, port)


def _split_port(text: str) -> tuple[str, int | None]:
    """`name:port`, `[v6]:port`; a bare IPv6 address has colons but no port."""
    name, colon, port = text.rpartition(":")
    if text.startswith("["):
        if text.endswith("]"):
            return text[1:-1], None
        if not name.endswith("]"):
            return text, None
        name = name[1:-1]
    elif not colon or ":" in name:
        return text, None
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r}: {port!r} is not a port.")
    return name, int(port)
