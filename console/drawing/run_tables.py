"""Runs as the text of a CSV or a JSON file, in portions. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from console import formats

# A spreadsheet takes a cell that begins so for a formula, and runs it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_head(fields: Iterable[str]) -> str:
    """Write the line of names."""
    return _lines([list(fields)])


def csv_rows(records: Iterable[Mapping[str, Any]]) -> str:
    """Write lines of values; text that a spreadsheet would run as a formula is marked as text."""
    return _lines([_cell(value) for value in record.values()] for record in records)


def _lines(rows: Iterable[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, str):
        return _harmless(formats.printable(value))
    if isinstance(value, list):
        return _harmless(formats.printable(" ".join(map(str, value))))
    return "" if value is None else str(_plain(value))


def _harmless(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def json_rows(records: Iterable[Mapping[str, Any]], *, first: bool) -> str:
    """Write the elements of a JSON list, one a line; the brackets are the caller's."""
    lines = [json.dumps({key: _plain(value) for key, value in each.items()}) for each in records]
    return ("" if first or not lines else ",\n") + ",\n".join(lines)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return format(value, "f") if isinstance(value, Decimal) else value
