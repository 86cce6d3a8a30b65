"""The tables of definitions, releases, runs and their journal."""

from workflows.models.audit import AuditEntry
from workflows.models.bulk import BulkAction, BulkItem
from workflows.models.definitions import Definition, DefinitionVersion
from workflows.models.journal import Call, JournalEvent, Lineage, Payload
from workflows.models.releases import Deployment, Environment, Release
from workflows.models.runs import Attempt, Run, StepRun
from workflows.models.uploads import Upload
from workflows.models.workers import ClockLease, Worker

__all__ = [
    "Attempt",
    "AuditEntry",
    "BulkAction",
    "BulkItem",
    "Call",
    "ClockLease",
    "Definition",
    "DefinitionVersion",
    "Deployment",
    "Environment",
    "JournalEvent",
    "Lineage",
    "Payload",
    "Release",
    "Run",
    "StepRun",
    "Upload",
    "Worker",
]
