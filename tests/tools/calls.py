"""How these tests call a tool over HTTP."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from workflows.spec.templates import render
from workflows.tools import http
from workflows.tools.config import Tool
from workflows.tools.errors import ToolError
from workflows.tools.http import ToolReply

LOOPBACK = ("127.0.0.1", "::1")


class Sending:
    """The mark: says yes (or no), and remembers when it was asked."""

    def __init__(self, answer: bool = True, *, takes_s: float = 0) -> None:
        self.answer, self.takes_s = answer, takes_s
        self.answered_at = 0.0
        self.times: list[float] = []

    def __call__(self) -> bool:
        self.times.append(time.monotonic())
        time.sleep(self.takes_s)
        self.answered_at = time.monotonic()
        return self.answer


def call(
    url: str,
    *,
    method: str = "POST",
    effect: str = "once",
    body: Any = None,
    headers: dict[str, str] | None = None,
    deadline_s: float = 5,
    sending: Callable[[], bool] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    allow: Sequence[str] = LOOPBACK,
    credential: str | None = None,
) -> ToolReply:
    document = {
        "name": "refund",
        "effect": effect,
        "http": {"method": method, "url": url, "body": body, "headers": headers or {}},
    }
    return http.send(
        http.prepare(Tool.from_document(document), {}, render=render),
        key="k" * 64,
        run_id="r_1",
        path="score[17]/judge",
        deadline_s=deadline_s,
        sending=sending or Sending(),
        cancelled=cancelled,
        allow=allow,
        credential=credential,
    )


def failing(url: str, **options: Any) -> ToolError:
    with pytest.raises(ToolError) as caught:
        call(url, **options)
    return caught.value


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: Sequence[str]) -> list[str]:
    """Have names resolve to one answer after the other; returns the list of names asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        addresses = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked
