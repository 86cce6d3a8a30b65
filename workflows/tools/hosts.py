"""Host names in one form: what is checked is what is resolved and connected to. Pure: resolves nothing."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

import idna

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def normal(host: str) -> str | None:
    """A host name or address in lower-case ASCII without brackets or trailing dot; None if it is neither.

    Addresses in odd forms (decimal, octal, hexadecimal, shortened, with a zone) are neither.
    """
    host = host.lower()
    if ":" in host:
        return _ipv6(host)
    if not host.isascii():
        try:
            host = idna.encode(host).decode("ascii")
        except UnicodeError:  # idna's errors are among them
            return None
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    if _NUMBER.fullmatch(labels[-1]):  # then resolvers read the whole as an address
        return _ipv4(host)
    return host


def literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host in normal form is; None for a name."""
    try:
        return IPv6Address(host) if ":" in host else IPv4Address(host)
    except ValueError:
        return None


def _ipv4(host: str) -> str | None:
    try:
        return str(IPv4Address(host))
    except ValueError:
        return None


def _ipv6(host: str) -> str | None:
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        return None if "%" in host else str(IPv6Address(host))
    except ValueError:
        return None
