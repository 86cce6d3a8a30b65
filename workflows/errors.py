"""The one error family of the services in this app: what happened, to which object, what to do."""

from __future__ import annotations


class WorkflowError(Exception):
    """A request that cannot be carried out. Nothing was changed.

    `code` is stable and for programs; `errors` are (path, message) pairs for invalid input.
    """

    def __init__(self, message: str, *, code: str, errors: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.message, self.code, self.errors = message, code, errors


class UnknownObject(WorkflowError):
    """No object has this name."""


class Conflict(WorkflowError):
    """The object's state does not allow it."""


class Invalid(WorkflowError):
    """The input itself is wrong."""


class Refused(WorkflowError):
    """A rule forbids it."""


class TooMany(WorkflowError):
    """There is no room now. `retry_after_s`: when to ask again, in seconds."""

    def __init__(self, message: str, *, code: str, retry_after_s: int) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s
