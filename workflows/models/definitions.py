"""Versioned documents: providers, routes, prompts, tools, corpora and workflows alike."""

from __future__ import annotations

from django.db import models

from workflows.models.ordered_json import OrderedJSONField

KINDS = (
    "Provider",
    "Route",
    "Prompt",
    "Tool",
    "Corpus",
    "Workflow",
    "Environment",
    "Schedule",
    "Webhook",
)


class Definition(models.Model):
    """A name of one kind. Its versions are immutable."""

    kind = models.CharField(max_length=20)
    name = models.CharField(max_length=63)
    latest_version = models.PositiveIntegerField(default=0)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "name"], name="definition_name"),
            models.CheckConstraint(condition=models.Q(kind__in=KINDS), name="definition_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class DefinitionVersion(models.Model):
    """One saved state of a document: `body` is the document in its author's terms, without defaults."""

    definition = models.ForeignKey(Definition, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64)  # sha-256 of the canonical JSON of `body`
    body = OrderedJSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["definition", "version"], name="definition_version")]

    def __str__(self) -> str:
        return f"{self.definition}@{self.version}"
