"""Names that belong to the product itself. Pure."""

from typing import Final

# Definitions that came with the product; nobody else may save one under such a name.
PREFIX: Final = "interlock-"
# `python: "builtin:NAME"` of a Tool: a function of the product, called inside the worker.
FUNCTION: Final = "builtin:"


def is_builtin(name: str) -> bool:
    """Whether a definition came with the product."""
    return name.startswith(PREFIX)
