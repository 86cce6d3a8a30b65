from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workflows.spec.templates import render
from workflows.tools import guard, hosts, urls
from workflows.tools.errors import ToolError


def made(template: str, **scope: Any) -> str:
    return str(urls.from_template(template, scope, render=render))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://shop.test/refunds", "https://shop.test/refunds"),
        ("HTTPS://Shop.TEST:443/a?b=c#d", "https://shop.test/a?b=c"),
        ("http://shop.test", "http://shop.test/"),
        ("http://shop.test?x=1", "http://shop.test/?x=1"),
        ("http://shop.test.:8080/", "http://shop.test:8080/"),
        ("http://bücher.test/", "http://xn--bcher-kva.test/"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]/"),
        ("http://127。0。0。1/", "http://127.0.0.1/"),
        ("http://my_host-1/", "http://my_host-1/"),
    ],
)
def test_urls_have_one_form(text: str, expected: str) -> None:
    assert str(urls.parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop.test/x",
        "//shop.test/",
        "ftp://shop.test/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/",
        "http:///x",
        "http://user@shop.test/",
        "http://user:password@shop.test/",
        "http://shop.test\\@10.0.0.1/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://127.0.0.1.1/",
        "http://1.2.3.4.0x10/",
        "http://%31%32%37.0.0.1/",
        "http://shop..test/",
        "http://shop.test../",
        "http://.shop.test/",
        "http://-shop.test/",
        "http://shop test/",
        "http://shop.test:0/",
        "http://shop.test:65536/",
        "http://shop.test:x/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1/",
        "http://①②⑦.0.0.1/",
        "http://shop.test/\r\nX: y",
        "http://" + "a" * 254 + "/",
        "http://\ud800/",
        "http://shop.test/" + "x" * 70_000,
    ],
)
def test_odd_urls_are_refused(text: str) -> None:
    with pytest.raises(ToolError) as caught:
        urls.parse(text)

    assert caught.value.error_class == "invalid_request"
    assert caught.value.outcome_known


@given(st.text(alphabet="0123456789abcdefx.:[]%@\\/。-_ \t\0é①", max_size=30))
@example("0x")
@example("1")
@example("[::ffff:0x7f.1]")
def test_any_host_is_an_address_a_name_or_refused(host: str) -> None:
    try:
        url = urls.parse(f"http://{host}/")
    except ToolError:
        return
    literal = hosts.literal(url.host)
    assert hosts.normal(url.host) == url.host
    if literal is None:  # then no resolver takes it for an address
        last = url.host.split(".")[-1]
        assert not last.isdigit()
        assert not last.startswith("0x") or not set(last[2:]) <= set("0123456789abcdef")
    else:
        assert guard.plain(literal) is not None


@given(st.integers(0, 2**32 - 1))
def test_addresses_written_as_numbers_are_refused(number: int) -> None:
    for form in (str(number), hex(number), f"0{number:o}", f"{number >> 24}.{number & 0xFFFFFF}"):
        with pytest.raises(ToolError):
            urls.parse(f"http://{form}/")
    assert urls.parse(f"http://{ip_address(number)}/").host == str(ip_address(number))


@pytest.mark.parametrize(
    ("template", "scope", "expected"),
    [
        ("http://s.test/orders/{{ order }}", {"order": "42"}, "http://s.test/orders/42"),
        ("http://s.test/orders/{{ order }}/x", {"order": "a/b?c#d"}, "http://s.test/orders/a%2Fb%3Fc%23d/x"),
        ("http://s.test/{{ a }}-{{ b }}", {"a": 1, "b": 2.5}, "http://s.test/1-2.5"),
        ("http://s.test/?q={{ q }}&n=1", {"q": "a&b=c d%"}, "http://s.test/?q=a%26b%3Dc%20d%25&n=1"),
        ("http://s.test/?q={{ q }}", {"q": None}, "http://s.test/?q="),
        ("http://s.test/?q={{ q }}", {"q": True}, "http://s.test/?q=true"),
        ("http://s.test/é/{{ q }}", {"q": "é"}, "http://s.test/%C3%A9/%C3%A9"),
        ("http://{{ region }}.s.test/", {"region": "eu"}, "http://eu.s.test/"),
        ("{{ url }}", {"url": "http://s.test/a?b=c"}, "http://s.test/a?b=c"),
        ('http://s.test/{{ "}}" }}', {}, "http://s.test/%7D%7D"),
    ],
)
def test_input_stays_within_its_place(template: str, scope: dict[str, Any], expected: str) -> None:
    assert made(template, **scope) == expected


@pytest.mark.parametrize(
    ("template", "scope"),
    [
        ("http://s.test/orders/{{ order }}", {"order": ""}),
        ("http://s.test/orders/{{ order }}", {"order": None}),
        ("http://s.test/orders/{{ order }}", {"order": [1]}),
        ("http://s.test/orders/{{ order }}", {"order": {"a": 1}}),
        ("http://s.test/orders/{{ order }}", {"order": ".."}),
        ("http://s.test/orders/{{ order }}/x", {"order": "."}),
        ("http://s.test/orders/.{{ order }}", {"order": "."}),
        ("http://s.test/orders/%2e{{ order }}", {"order": "."}),
        ("http://s.test/orders/{{ order }}", {"order": "\ud800"}),
        ("http://{{ host }}/", {"host": "evil.test/x"}),
        ("http://{{ host }}/", {"host": "evil.test@other.test"}),
        ("http://{{ host }}/", {"host": "evil.test:80"}),
        ("http://{{ host }}s.test/", {"host": "evil.test#"}),
        ("{{ scheme }}://s.test/", {"scheme": "file"}),
        ("{{ url }}", {"url": 5}),
        ("{{ url }}", {"url": "file:///etc/passwd"}),
        ("http://s.test/{% if a %}b{% endif %}", {"a": 1}),
        ("http://s.test/{# no #}", {}),
        ("http://s.test/{{ a", {"a": 1}),
    ],
)
def test_input_that_would_leave_its_place_is_refused(template: str, scope: dict[str, Any]) -> None:
    with pytest.raises(ToolError) as caught:
        made(template, **scope)

    assert caught.value.error_class == "invalid_request"


@given(st.text(min_size=1))
def test_no_input_changes_host_path_or_number_of_fields(value: str) -> None:
    try:
        url = urls.from_template("https://s.test/a/{{ x }}/b?q={{ x }}&r=1", {"x": value}, render=render)
    except ToolError:
        return
    path, _, query = url.target.partition("?")
    assert url.origin == "https://s.test"
    assert path.startswith("/a/")
    assert path.endswith("/b")
    assert path.count("/") == 3
    assert query.count("&") == 1


@pytest.mark.parametrize(
    ("template", "fixed"),
    [
        ("https://s.test/{{ x }}", True),
        ("https://s.test", True),
        ("https://s.test?x={{ x }}", True),
        ("https://s.test{{ x }}", False),
        ("https://{{ x }}/", False),
        ("https://{{ x }}.s.test/", False),
        ("{{ x }}", False),
        ("{{ x }}://s.test/", False),
        ("https://s.test:{{ x }}/", False),
    ],
)
def test_it_is_known_whether_input_chooses_the_host(template: str, fixed: bool) -> None:
    assert urls.names_its_host(template) is fixed


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/b", "https://s.test/b"),
        ("c?d", "https://s.test/a/c?d"),
        ("//other.test/x", "https://other.test/x"),
        ("http://10.0.0.1/", "http://10.0.0.1/"),
    ],
)
def test_redirects_are_resolved(location: str, expected: str) -> None:
    assert str(urls.parse("https://s.test/a/b").join(location)) == expected


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://u:p@s.test/", "http://0x7f.1/", "http://[/"]
)
def test_redirects_to_odd_urls_are_refused(location: str) -> None:
    with pytest.raises(ToolError):
        urls.parse("https://s.test/a/b").join(location)


def test_messages_hold_no_path_query_or_password() -> None:
    with pytest.raises(ToolError) as caught:
        urls.parse("http://user:password@shop.test/secret?token=1")

    assert "password'" not in caught.value.message
    assert "user:password" not in caught.value.message
    assert "secret" not in caught.value.message
