"""Numbers and times as people read them. Text in, text out; knows no HTML.

Moments are written in the time zone of who looks, which the middleware activates; elsewhere in UTC.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from django.utils import timezone

UNKNOWN = "–"
# From where on a difference is worth its sign, and what is said of a smaller one.
_SMALLEST: Final = {
    "money": (Decimal("0.001"), "≈ $0"),
    "duration": (Decimal("0.0005"), "≈ 0 s"),
    "count": (Decimal(1), "≈ 0"),
}


def duration(seconds: float | None) -> str:
    """Write seconds as `820 ms`, `4.2 s`, `39 s`, `6m 42s`, `3h 05m`, `2d 04h`; unknown as a dash."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0.9995:
        return f"{round(max(seconds, 0) * 1000)} ms" if seconds >= 0.0005 or seconds <= 0 else "<1 ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    return _clock(round(seconds))


def _clock(whole: int) -> str:
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    minutes = round(whole / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60}h {minutes % 60:02d}m"
    hours = round(minutes / 60)
    return f"{hours // 24}d {hours % 24:02d}h"


def ago(seconds: float) -> str:
    """Write how long ago as `9s`, `4m`, `3h 05m`, `2d`."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d"


def tokens(count: int | None) -> str:
    """Write a number of tokens as `980`, `61.8k`, `1.9M`."""
    if count is None:
        return UNKNOWN
    if count < 1000:
        return str(count)
    if count < 999_950:
        return f"{count / 1000:.1f}k"
    return f"{count / 1_000_000:.1f}M"


def money(usd: Decimal | None) -> str:
    """Write US dollars as `$0.0082`, `$0.314`, `$4.12`, `<$0.001`; unknown is a dash, never zero."""
    if usd is None:
        return UNKNOWN
    if 0 < usd < Decimal("0.001"):
        return "<$0.001"
    if usd == 0 or usd >= 1:
        return f"${usd:,.2f}"
    return f"${usd:.3f}" if usd >= Decimal("0.01") else f"${usd:.4f}"


def change(amount: Decimal | float | None, kind: Literal["money", "duration", "count"]) -> str:
    """Write by how much a figure differs: `+$0.314`, `−39 s`, `+1,200`; too little to be written as `≈ $0`.

    Nothing where there is no difference, or it is not known. `amount`: US dollars, seconds, or a number.
    """
    if not amount:
        return ""
    size = Decimal(amount).copy_abs()
    if size < _SMALLEST[kind][0]:
        return _SMALLEST[kind][1]
    if kind == "count":
        told = f"{size:,}"
    else:
        told = money(size) if kind == "money" else duration(float(size))
    return ("+" if amount > 0 else "−") + told


def share(found: float | None) -> str:
    """Write a share as `99.2%`; all and nothing without decimals, never rounded to either; unknown is a dash."""
    if found is None:
        return UNKNOWN
    if found in (0, 1):
        return f"{found:.0%}"
    return f"{min(max(found * 100, 0.1), 99.9):.1f}%"


def size(count: int) -> str:
    """Write a number of bytes as `980 B`, `61.8 KB`, `2.1 MB`."""
    if count < 1000:
        return f"{count} B"
    if count < 999_950:
        return f"{count / 1000:.1f} KB"
    return f"{count / 1_000_000:.1f} MB"


def plural(count: int, one: str, many: str = "") -> str:
    """Write `1 run`, `2 runs`, `3,482 runs`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def instant(when: datetime | None) -> str:
    """Write a moment for people, to the second, where they are: `Nov 3, 14:31:35`; of another year, with it."""
    if when is None:
        return UNKNOWN
    return f"{day(when)}, {timezone.localtime(when):%H:%M:%S}"


def day(when: datetime) -> str:
    """Write a day: `Nov 3`; of another year, with it: `Nov 3 2027`."""
    here = timezone.localtime(when)
    year = "" if here.year == timezone.localtime().year else f" {here.year}"
    return f"{here:%b} {here.day}{year}"


def exact(when: datetime, *, fine: bool = False) -> str:
    """Write a moment with its date and its offset: `2026-11-03 15:31:35 UTC+1`; fine: to the microsecond."""
    here = timezone.localtime(when)
    return f"{here:%Y-%m-%d %H:%M:%S}{f'.{here:%f}' if fine else ''} {offset(here)}"


def offset(when: datetime) -> str:
    """Write how far the clock of who looks is from UTC at a moment: `UTC`, `UTC+1`, `UTC−3:30`."""
    away = timezone.localtime(when).utcoffset()
    minutes = round(away.total_seconds() / 60) if away else 0
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '−'}{hours}{f':{rest:02d}' if rest else ''}"


def time_zone(now: datetime) -> str:
    """Name the time zone of who looks: `UTC`, `Europe/Berlin (UTC+1)`."""
    name = timezone.get_current_timezone_name()
    return name if name == "UTC" else f"{name} ({offset(now)})"


def printable(text: str) -> str:
    """Make text that came from outside safe to send: lone surrogates and NULs become visible marks."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")
