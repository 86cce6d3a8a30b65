"""Who asks: a bearer token or a signed-in person. What they may do is `console/access.py`."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from console.api import tokens
from console.models import ApiToken
from workflows.actor import Actor

CHALLENGE = 'Bearer realm="interlock"'


@dataclass(frozen=True)
class TokenHolder:
    """Whoever holds a token; stands where Django expects a user."""

    token: ApiToken
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False

    @property
    def pk(self) -> int:
        return self.token.pk


class BearerAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer ilk_…`."""

    def authenticate(self, request: Request) -> tuple[TokenHolder, ApiToken] | None:
        """Return who asks, or None where there is no header."""
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return None
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise AuthenticationFailed("The Authorization header has the form `Bearer TOKEN`.")
        try:
            token = tokens.check(secret.strip(), now=timezone.now())
        except tokens.TokenRefusedError as error:
            raise AuthenticationFailed(str(error)) from None
        return TokenHolder(token), token

    def authenticate_header(self, request: Request) -> str:
        """Return what `WWW-Authenticate` says with a 401."""
        given = "HTTP_AUTHORIZATION" in request.META
        return f'{CHALLENGE}, error="invalid_token"' if given else CHALLENGE


class SessionAuthentication(authentication.SessionAuthentication):
    """The console's cookie; writes carry the CSRF token."""

    def enforce_csrf(self, request: Request) -> None:
        """Refuse a write without the token, in words."""
        try:
            super().enforce_csrf(request)
        except PermissionDenied:
            raise PermissionDenied(
                "A signed-in browser has to send its CSRF token in the header X-CSRFToken. "
                "Scripts use an API token instead."
            ) from None


def actor_of(request: Request) -> Actor:
    """Return who does it, for the audit log."""
    if isinstance(request.auth, ApiToken):
        return Actor(kind="token", name=request.auth.name)
    return Actor(kind="user", name=request.user.get_username())


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How OpenAPI calls it."""

    target_class = BearerAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """Return the security scheme."""
        return {"type": "http", "scheme": "bearer", "description": "`manage.py token create` makes one."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How OpenAPI calls it."""

    target_class = SessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """Return the security scheme."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
