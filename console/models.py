"""People, their roles, and API tokens."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.crypto import salted_hmac


class Role(models.TextChoices):
    VIEWER = "viewer"
    OPERATOR = "operator"
    EDITOR = "editor"
    ADMIN = "admin"


class User(AbstractUser):
    """Somebody who signs in. What the role allows is in `access.py`."""

    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    time_zone = models.CharField(max_length=64, default="UTC")  # an IANA name, such as Europe/Berlin
    # Set by an admin and shown once: its owner has to choose another before anything else.
    password_temporary = models.BooleanField(default=False)
    # Every session carries the number that was there when it began; raising it ends them all.
    session_generation = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known")
        ]

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return what a session must carry to be this person's: changes with the password and the number."""
        held = f"{self.password}/{self.session_generation}"
        return salted_hmac("console.session", held, secret=secret, algorithm="sha256").hexdigest()


class ApiToken(models.Model):
    """A bearer token: only its sha-256 is stored."""

    name = models.CharField(max_length=100, unique=True)
    prefix = models.CharField(max_length=12)  # shown in lists, so that a token can be told from another
    token_hash = models.BinaryField(unique=True)
    role = models.CharField(max_length=16, choices=Role.choices)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="token_role_known")
        ]

    def __str__(self) -> str:
        return self.name


class SavedView(models.Model):
    """A person's own tab over the list of runs: a name, and the query string of the list's address."""

    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=60)
    query = models.TextField()
    shared = models.BooleanField(default=False)  # with everybody; only its owner changes it
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="saved_view_name")]

    def __str__(self) -> str:
        return self.name
