"""Which adapter speaks which `api`. A new wire format is one file beside this one and one line here."""

from __future__ import annotations

from providers.adapters.anthropic import Anthropic
from providers.adapters.base import Adapter
from providers.adapters.local import Local
from providers.adapters.openai import OpenAI
from providers.adapters.scripted import Scripted
from providers.config import Provider
from providers.errors import ProviderError

_ADAPTERS: dict[str, Adapter] = {
    "openai": OpenAI(),
    "anthropic": Anthropic(),
    "local": Local(),
    "scripted": Scripted(),
}


def apis() -> tuple[str, ...]:
    """The `api`s that this version speaks."""
    return tuple(_ADAPTERS)


def adapter(provider: Provider) -> Adapter:
    """The adapter for a provider's `api`. Raises: ProviderError(invalid_request)."""
    found = _ADAPTERS.get(provider.api)
    if found is None:
        raise ProviderError(
            f"Provider {provider.name} has api {provider.api!r}; "
            f"this version speaks: {', '.join(_ADAPTERS)}.",
            error_class="invalid_request",
            provider=provider.name,
        )
    return found
