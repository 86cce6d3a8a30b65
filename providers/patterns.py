"""Regular expressions that cannot run away: a linear-time engine, whatever the pattern and the text.

Python's own `re` would hold the interpreter's lock through a catastrophic match and stop every thread of the
worker. The engine is Rust's `regex`, by way of pydantic; it has no look-around and no back references.
"""

from __future__ import annotations

from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> SchemaValidator:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except (SchemaError, UnicodeError) as error:
        reason = str(error).strip().rsplit("error: ", 1)[-1]
        raise ValueError(
            f"{pattern!r} is not a regular expression of this engine "
            f"(no look-around, no back references): {reason}"
        ) from error


def check(pattern: str) -> None:
    """Raises: ValueError, with what is wrong with the pattern."""
    _compiled(pattern)


def found(pattern: str, text: str) -> bool:
    """Whether the pattern matches anywhere in the text. Raises: ValueError for a bad pattern."""
    # A lone surrogate is no text to the engine; it stands for nothing that a pattern could ask for.
    return _compiled(pattern).isinstance_python(text.encode("utf-8", "replace").decode())
