"""Releases, environments, and what is deployed where."""

from __future__ import annotations

from typing import Final

from django.db import models

IMPORTED: Final = "imported"  # the environment of runs that were taken in from another installation


class Environment(models.Model):
    name = models.CharField(max_length=63, primary_key=True)
    protected = models.BooleanField(default=False)
    variables = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name


class Release(models.Model):
    """An immutable bundle: a workflow version with the exact versions that it resolves to.

    `manifest`: `{"workflow": [name, version], "prompts": {name: version}, "routes": …, "tools": …,
    "corpora": …}`; names in it may carry `@version` where the document pinned one.
    """

    workflow = models.CharField(max_length=63)
    number = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64)
    manifest = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=200)
    # Documents that stand in for versions, {group: {reference: body}}: those of a fork's overrides, or all of them
    # where the release came with an imported run. It is no workflow's own then: `workflow` says where it is from.
    documents_hash = models.BinaryField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workflow", "number"], name="release_number"),
            models.UniqueConstraint(fields=["workflow", "content_hash"], name="release_content"),
        ]

    def __str__(self) -> str:
        return f"{self.workflow} release {self.number}"


class Deployment(models.Model):
    """What new runs of a workflow in an environment get."""

    workflow = models.CharField(max_length=63)
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT)
    stable = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="+")
    deployed_at = models.DateTimeField()
    deployed_by = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "environment"], name="deployment_target")]

    def __str__(self) -> str:
        return f"{self.workflow} in {self.environment_id}: {self.stable}"
