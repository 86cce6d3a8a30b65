from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.tools import guard
from workflows.tools.errors import ToolError
from workflows.tools.guard import Allowed

NOTHING = Allowed()
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.169.0.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001::200e",
    "64:ff9b::808:808",
    "::ffff:8.8.8.8",
]
REFUSED = {
    "0.0.0.0": "unspecified",  # noqa: S104
    "0.1.2.3": "reserved",
    "10.0.0.1": "private",
    "10.255.255.255": "private",
    "100.64.0.1": "shared",
    "100.127.255.255": "shared",
    "100.100.100.200": "metadata",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "metadata",
    "169.254.0.1": "link-local",
    "169.254.169.254": "metadata",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.8": "reserved",
    "192.0.0.192": "metadata",
    "192.0.2.1": "reserved",
    "192.88.99.1": "reserved",
    "192.168.1.1": "private",
    "198.18.0.1": "private",
    "198.19.255.255": "private",
    "198.51.100.7": "reserved",
    "203.0.113.9": "reserved",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "::7f00:1": "reserved",  # IPv4-compatible
    "::ffff:127.0.0.1": "loopback",
    "::ffff:169.254.169.254": "metadata",
    "::ffff:0:10.0.0.1": "reserved",  # IPv4-translated
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::a9fe:a9fe": "metadata",
    "64:ff9b:1::808:808": "reserved",
    "100::1": "reserved",
    "2001::7f00:1": "reserved",  # Teredo
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": "reserved",
    "2001:db8::1": "reserved",
    "2002:7f00:1::": "reserved",  # 6to4 of 127.0.0.1
    "2002:808:808::1": "reserved",
    "2606:4700::5efe:10.0.0.1": "private",  # ISATAP
    "2606:4700::200:5efe:127.0.0.1": "loopback",
    "3fff::1": "reserved",
    "4000::1": "reserved",
    "5f00::1": "reserved",
    "fc00::1": "private",
    "fd00:ec2::254": "metadata",
    "fd12:3456::1": "private",
    "fe80::1": "link-local",
    "fec0::1": "private",
    "ff02::1": "multicast",
}


def check(*addresses: str, allow: tuple[str, ...] = (), port: int = 443) -> list[str]:
    found = [ip_address(address) for address in addresses]
    return [
        str(each) for each in guard.permitted("shop.test", found, port=port, allowed=Allowed.parse(allow))
    ]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    assert guard.special(ip_address(address)) is None
    assert len(check(address)) == 1


@pytest.mark.parametrize(("address", "what"), REFUSED.items())
def test_other_addresses_are_refused_and_said_to_be_what_they_are(address: str, what: str) -> None:
    with pytest.raises(ToolError, match="INTERLOCK_TOOL_ALLOW") as caught:
        check(address)

    assert caught.value.error_class == "address_refused"
    assert caught.value.outcome_known
    assert what in caught.value.message


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_form_of_an_ipv4_address_is_judged_milder_than_the_address(address: IPv4Address) -> None:
    mapped = IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)
    nat64 = IPv6Address(b"\0\x64\xff\x9b" + b"\0" * 8 + address.packed)
    isatap = IPv6Address(b"\x26\x06" + b"\0" * 8 + b"\x5e\xfe" + address.packed)

    for form in (mapped, nat64, isatap):
        assert guard.special(form) == guard.special(address)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_what_python_calls_not_global_is_refused(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert guard.special(address) is not None


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_every_ipv6_address_is_judged(address: IPv6Address) -> None:
    if not address.is_global or address.is_multicast:
        assert guard.special(address) is not None


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    with pytest.raises(ToolError, match=r"10\.0\.0\.1 \(private\)"):
        check("8.8.8.8", "10.0.0.1")


@pytest.mark.parametrize(
    ("entry", "address", "port"),
    [
        ("10.0.0.5", "10.0.0.5", 80),
        ("10.0.0.0/8", "10.200.0.5", 80),
        ("10.0.0.5:8080", "10.0.0.5", 8080),
        ("10.0.0.0/8:8080", "10.1.1.1", 8080),
        ("::1", "::1", 80),
        ("[::1]", "::1", 80),
        ("[::1]:8080", "::1", 8080),
        ("fd00::/8", "fd00::5", 80),
        ("[fd00::/8]:443", "fd00::5", 443),
        ("shop.test", "10.0.0.5", 80),
        ("Shop.TEST.", "127.0.0.1", 80),
        ("shop.test:443", "fd00::5", 443),
        ("127.0.0.1", "::ffff:127.0.0.1", 80),
        ("::ffff:127.0.0.1", "127.0.0.1", 80),
        ("169.254.169.254", "169.254.169.254", 80),
    ],
)
def test_the_settings_open_what_they_name(entry: str, address: str, port: int) -> None:
    assert check(address, allow=(entry,), port=port)


@pytest.mark.parametrize(
    ("entry", "address", "port"),
    [
        ("10.0.0.5", "10.0.0.6", 80),
        ("10.0.0.5:8080", "10.0.0.5", 80),
        ("other.test", "10.0.0.5", 80),
        ("test", "10.0.0.5", 80),
        ("sub.shop.test", "10.0.0.5", 80),
        ("shop.test:8080", "10.0.0.5", 80),
        ("shop.test", "169.254.169.254", 80),
        ("shop.test", "169.254.1.1", 80),
        ("shop.test", "ff02::1", 80),
        ("shop.test", "0.0.0.0", 80),  # noqa: S104
    ],
)
def test_the_settings_open_nothing_else(entry: str, address: str, port: int) -> None:
    with pytest.raises(ToolError, match="INTERLOCK_TOOL_ALLOW"):
        check(address, allow=(entry,), port=port)


def test_addresses_that_the_settings_do_not_open_are_left_out() -> None:
    assert check("::1", "127.0.0.1", allow=("127.0.0.1",)) == ["127.0.0.1"]


def test_a_host_without_addresses_cannot_be_called() -> None:
    with pytest.raises(ToolError, match="no address"):
        check()


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "10.0.0.5/33",
        "10.0.0.1/8",
        "2130706433",
        "0x7f.1",
        "shop.test:0",
        "shop.test:99999",
        "a b",
        "[::1",
        "*",
    ],
)
def test_a_wrong_entry_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=r"is not a port|write 10\.0"):
        Allowed.parse((entry,))
