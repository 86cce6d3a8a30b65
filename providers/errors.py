"""The one error family of this layer. Nothing else leaves `gateway.call` and `gateway.embed`.

Pure: imports nothing of the project.
"""

from __future__ import annotations

from typing import Any

# error class → what it says; docs/providers.md explains what follows from each.
ERROR_CLASSES: dict[str, str] = {
    "connect": "no connection, or it broke before an answer began",
    "timeout": "a phase of the call took too long",
    "server_error": "the provider failed",
    "overloaded": "the provider is over its capacity",
    "rate_limited": "too many requests or tokens for this credential",
    "quota_exhausted": "the account has no credit left",
    "auth": "the credential is wrong or expired",
    "permission": "the credential may not do this",
    "missing_credential": "the credential that the document names is not set",
    "context_overflow": "the request is larger than the model's context",
    "content_filter": "the provider's filter stopped the answer",
    "refusal": "the model refused",
    "invalid_request": "the provider does not accept the request",
    "model_not_found": "the provider does not know the model",
    "unknown_model": "no document names this provider or model",
    "stream_truncated": "the answer broke off before its end mark",
    "malformed_body": "the answer is not what the wire format says",
    "schema_invalid": "the answer does not fit the output schema",
    "wrong_dimensions": "the vectors have another size than the document says",
    "cancelled": "the caller does not want the answer any more",
    "budget_exceeded": "a budget is used up",
    "breaker_open": "the circuit breaker holds calls back",
    "deadline": "the time for the whole step is over",
    "internal": "a fault in our own adapter",
}


class ProviderError(Exception):
    """A call failed. `phase` says where: connect, write, first_byte, idle, total or body.

    `partial` is what the provider had sent until then (an adapter's reply), for the record.
    """

    def __init__(
        self,
        message: str,
        *,
        error_class: str,
        status: int | None = None,
        phase: str | None = None,
        retry_after_s: float | None = None,
        provider: str | None = None,
        model: str | None = None,
        partial: object = None,
    ) -> None:
        if error_class not in ERROR_CLASSES:
            raise ValueError(f"{error_class!r} is not an error class.")
        super().__init__(message)
        self.message = message
        self.error_class = error_class
        self.status = status
        self.phase = phase
        self.retry_after_s = retry_after_s
        self.provider = provider
        self.model = model
        self.partial = partial

    def as_json(self) -> dict[str, Any]:
        """What the record of a call keeps of an error."""
        return {
            "class": self.error_class,
            "status": self.status,
            "message": self.message,
            "phase": self.phase,
        }
