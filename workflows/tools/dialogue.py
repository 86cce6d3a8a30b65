"""One call in a child process, line by line: the child is taken, asked, marked before it acts, and given back.

Knows what can go wrong with a child and how to say it, not what the lines say.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from workflows.tools.children import Crashed, Oversized, Pool
from workflows.tools.errors import LeaseLost, ToolError, refused
from workflows.tools.waiting import Patience, Stopped


class Dialogue:
    """A child of a pool for the time of one call. `what` names the call in messages.

    A context manager: a call that breaks off takes its child along.
    """

    def __init__(self, pool: Pool, what: str, patience: Patience, *, max_answer: int) -> None:
        """Take a child. Raises: ToolError(timeout | cancelled | connect)."""
        self.what, self.max_answer = what, max_answer
        self.sent = False  # from here on the tool may have been called
        self._pool, self._patience = pool, patience
        self._is_over = False
        try:
            self._child = pool.take(patience)
        except Stopped as error:
            raise self._stopped(error) from None
        except Crashed as error:
            raise refused("connect", f"No process for {what} could be started ({error}).") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.end()
        else:
            self.abandon()

    def mark(self, sending: Callable[[], bool]) -> None:
        """Ask, once, before the child is told to call, whether it may.

        Raises: LeaseLost; ToolError(timeout | cancelled); what `sending` raises.
        """
        try:
            self._patience.slice_s()
            if not sending():
                raise LeaseLost(f"The lease of the step is lost: {self.what} was not called.")
            self._patience.slice_s()
        except Stopped as error:
            raise self._stopped(error) from None
        self.sent = True

    def ask(self, line: bytes) -> bytes:
        """Exchange one line for another. Raises: ToolError; then the child is gone already."""
        try:
            return self._child.exchange(line, patience=self._patience, max_bytes=self.max_answer)
        except BaseException as error:
            self.abandon()
            if isinstance(error, Stopped):
                raise self._stopped(error) from None
            if isinstance(error, Crashed):
                raise self._crashed(error) from None
            if isinstance(error, Oversized):
                raise self.too_large() from None
            raise

    def end(self) -> None:
        """Let others have the child; nothing is left to be done at the end of the block."""
        if not self._is_over:
            self._is_over = True
            self._pool.give_back(self._child)

    def abandon(self) -> None:
        """Kill the child: it is in the middle of something."""
        if not self._is_over:
            self._is_over = True
            self._pool.discard(self._child)

    def too_large(self) -> ToolError:
        """Return the error of an answer that is larger than allowed."""
        size = self.max_answer // (1024 * 1024)
        return ToolError(
            "too_large", f"The result of {self.what} is larger than {size} MB.", outcome_known=True
        )

    def _crashed(self, error: Crashed) -> ToolError:
        after = "its outcome is unknown" if self.sent else "it was not called"
        message = f"The process of {self.what} died ({error}): {after}."
        return ToolError("tool_crashed", message, outcome_known=not self.sent)

    def _stopped(self, error: Stopped) -> ToolError:
        what = "took too long" if error.error_class == "timeout" else "was cancelled"
        after = "it was stopped, and its outcome is unknown" if self.sent else "it was not called"
        return ToolError(error.error_class, f"{self.what} {what}: {after}.", outcome_known=not self.sent)
