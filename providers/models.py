"""Stored credentials. Only `providers.credentials` reads or writes them."""

from __future__ import annotations

from django.db import models


class Secret(models.Model):
    """A credential by name, encrypted with `settings.ENCRYPTION_KEY`; what it was cannot be shown again."""

    name = models.CharField(max_length=63, unique=True)
    ciphertext = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
