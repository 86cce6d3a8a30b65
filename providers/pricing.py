"""What a call costs. Pure. An unknown price is None, never 0."""

from __future__ import annotations

from decimal import Decimal

from providers.config import Price, Provider
from providers.messages import Usage

_PER = Decimal(1_000_000)


def cost(usage: Usage, price: Price | None) -> Decimal | None:
    """USD for these tokens, exact; None where the price or the usage is not known.

    A price that is missing matters only where there are tokens to be priced by it; cached input without
    a price of its own costs as much as other input.
    """
    if price is None or usage.source == "missing":
        return None
    cached_price = price.input if price.cached_input is None else price.cached_input
    shares = (
        (usage.input - usage.cached, price.input),
        (usage.cached, cached_price),
        (usage.output, price.output),
    )
    total = Decimal(0)
    for tokens, per_million in shares:
        if not tokens:
            continue
        if per_million is None:
            return None
        total += tokens * per_million
    return total / _PER


def price_version(provider: Provider) -> str:
    """Which price list a cost was computed from: the provider document and its version."""
    return f"{provider.name}@{provider.version}"
