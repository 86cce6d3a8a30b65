"""Who asks, as the layers below name them."""

from __future__ import annotations

from django.http import HttpRequest

from workflows.actor import Actor


def actor_of(request: HttpRequest) -> Actor:
    """Return the signed-in person."""
    return Actor(kind="user", name=request.user.get_username())
