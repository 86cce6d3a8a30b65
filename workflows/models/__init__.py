"""The tables of definitions, releases, runs and their journal."""

from workflows.models.audit import AuditEntry
from workflows.models.bulk import BulkAction, BulkItem
from workflows.models.cache import CachedResult
from workflows.models.definitions import Definition, DefinitionVersion
from workflows.models.error_groups import ErrorGroup, ErrorSighting
from workflows.models.journal import Call, JournalEvent, Lineage, Payload
from workflows.models.memory import Memory, MemoryPin, MemoryVersion
from workflows.models.quarantines import Quarantine, Taint
from workflows.models.releases import Deployment, Environment, Release
from workflows.models.retention import DeletedRun, Prune
from workflows.models.rollouts import Measurement, Rollout
from workflows.models.runs import Attempt, Run, SecretInput, StepRun
from workflows.models.schedules import Fire, Schedule
from workflows.models.uploads import Upload
from workflows.models.waits import Approval, Pause, Signal
from workflows.models.webhooks import Delivery, DeliveryAttempt, Event, Webhook
from workflows.models.workers import ClockLease, Worker

__all__ = [
    "Approval",
    "Attempt",
    "AuditEntry",
    "BulkAction",
    "BulkItem",
    "CachedResult",
    "Call",
    "ClockLease",
    "Definition",
    "DefinitionVersion",
    "DeletedRun",
    "Delivery",
    "DeliveryAttempt",
    "Deployment",
    "Environment",
    "ErrorGroup",
    "ErrorSighting",
    "Event",
    "Fire",
    "JournalEvent",
    "Lineage",
    "Measurement",
    "Memory",
    "MemoryPin",
    "MemoryVersion",
    "Pause",
    "Payload",
    "Prune",
    "Quarantine",
    "Release",
    "Rollout",
    "Run",
    "Schedule",
    "SecretInput",
    "Signal",
    "StepRun",
    "Taint",
    "Upload",
    "Webhook",
    "Worker",
]
