"""Template tags and filters of the console's components. They format and draw; they read nothing."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from django import template
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import access, formats
from console.drawing import json_text, looks, template_text

register = template.Library()


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """Draw one icon of the sprite."""
    return looks.icon(name, classes)


@register.simple_tag
def state(name: str, compact: bool = False) -> SafeString:
    """Draw a state: icon and word."""
    return looks.state(name, compact=compact)


@register.simple_tag
def state_as(name: str, word: str) -> SafeString:
    """Draw a state with another word than its own, where the page knows a better one."""
    return looks.state_as(name, word)


@register.filter
def state_word(name: str) -> str:
    """Name a state as people read it."""
    return looks.state_look(name).word


@register.filter
def tone(name: str) -> str:
    """Return the tone of a state, for a class name."""
    return looks.state_look(name).tone


@register.simple_tag
def ver(number: int | None, title: str = "") -> SafeString:
    """Draw a version chip; nothing without a number."""
    if number is None:
        return SafeString("")
    return format_html('<span class="version" title="{}">v{}</span>', title or f"Version {number}", number)


@register.filter
def duration(seconds: float | None) -> str:
    """Write seconds as people read them."""
    return formats.duration(seconds)


@register.filter
def milliseconds(amount: float) -> str:
    """Write milliseconds as people read them."""
    return formats.duration(amount / 1000)


@register.simple_tag
def moment(when: datetime | None, style: str = "ago") -> SafeString:
    """Draw a time: how long `ago`, its `day`, or `exact` to the second; the exact time is in its title."""
    if when is None:
        return SafeString(formats.UNKNOWN)
    if style == "ago":
        text = formats.ago((timezone.now() - when).total_seconds())
    else:
        text = formats.day(when) if style == "day" else formats.instant(when)
    return format_html(
        '<time datetime="{}" title="{}"{}>{}</time>',
        when.isoformat(),
        formats.exact(when),
        SafeString(" data-ago") if style == "ago" else "",
        text,
    )


@register.simple_tag
def coming(when: datetime) -> SafeString:
    """Draw a time to come: `in 4m`; the exact time is in its title. One that has passed is due."""
    seconds = (when - timezone.now()).total_seconds()
    text = f"in {formats.ago(seconds)}" if seconds > 0 else "due"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', when.isoformat(), formats.exact(when), text
    )


@register.simple_tag
def time_zone() -> str:
    """Name the time zone that times are shown in."""
    return formats.time_zone(timezone.now())


@register.simple_tag
def ticking(since: datetime) -> SafeString:
    """Draw how long something has been going on; the page counts on."""
    seconds = max((timezone.now() - since).total_seconds(), 0)
    return format_html('<span data-since="{}">{}</span>', since.isoformat(), formats.duration(seconds))


@register.filter
def tokens(count: int | None) -> str:
    """Write a number of tokens."""
    return formats.tokens(count)


@register.filter
def money(usd: Decimal | None) -> str:
    """Write US dollars; unknown is a dash, never zero."""
    return formats.money(usd)


@register.simple_tag
def change(amount: Decimal | float | None, kind: Literal["money", "duration", "count"]) -> str:
    """Write by how much something differs, with its sign. Nothing for no difference."""
    return formats.change(amount, kind)


@register.filter
def size(count: int) -> str:
    """Write a number of bytes."""
    return formats.size(count)


@register.filter
def thousands(count: float | str | None) -> str:
    """Write a whole number with separators; unknown is a dash, and so is what a template does not find."""
    return f"{round(count):,}" if isinstance(count, int | float | Decimal) else formats.UNKNOWN


@register.simple_tag
def plural(count: int, one: str, many: str = "") -> str:
    """Write a number and its noun."""
    return formats.plural(count, one, many)


@register.filter
def printable(text: object) -> str:
    """Make text that came from outside safe to send."""
    return formats.printable(str(text))


@register.simple_tag
def json_block(value: object) -> SafeString:
    """Draw a JSON value as coloured text."""
    return format_html(
        '<pre class="code" tabindex="0">{}</pre>', json_text.highlight(json_text.serialise(value))
    )


@register.simple_tag
def templated(text: str) -> SafeString:
    """Draw a template, what it puts in marked."""
    return template_text.marked(text)


@register.filter
def may(request: HttpRequest, permission: str) -> bool:
    """Say whether the person has the permission."""
    return access.may(access.role_of(request), permission)


@register.filter
def refusal(request: HttpRequest, permission: str) -> str:
    """Say why an action is not offered to this person."""
    return access.refusal(access.role_of(request), permission)
