"""The real server, a real browser, and a page that fails its test on any complaint of either."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.test import Client
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

from console.models import Role
from tests import chromium, connections, factories, namespaces
from tests.browser.server import serve

# Playwright runs an event loop in the test's thread, where Django would refuse the database.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {
        **browser_type_launch_args,
        "executable_path": chromium.find(),
        "args": _FLAGS,
        "headless": True,
    }


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {
        **browser_context_args,
        "viewport": {"width": 1440, "height": 900},
        "reduced_motion": "reduce",
        "locale": "en-GB",
        "timezone_id": "UTC",
    }


@pytest.fixture(scope="session")
def served(django_db_setup: None) -> Iterator[str]:
    """The address of the ASGI server, in this process, on a free port. It ends before its database goes."""
    with serve() as address:
        yield address


@pytest.fixture(autouse=True)
def _network_stays() -> Iterator[None]:
    """Chromium gives up what it loads when a network of this machine comes or goes: tests elsewhere make some."""
    with namespaces.unchanged():
        yield


@pytest.fixture(autouse=True)
def _all_connections(django_db_setup: None) -> None:
    """Begin with all connections: what was cut off before may have left some to threads that have ended."""
    gc.collect()
    connections.drop()


@pytest.fixture
def refusals() -> set[int]:
    """The statuses that a test means to get: the browser complains of them too."""
    return set()


@pytest.fixture
def clean(page: Page, refusals: set[int]) -> Iterator[Page]:
    """A page that fails the test on any warning, error, policy violation or failed request."""
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        meant = any(f"responded with a status of {status} " in message.text for status in refusals)
        if message.type in {"error", "warning"} and not meant:
            complaints.append(f"{message.type}: {message.text}")

    def broken(request: Request) -> None:
        # A page that is left ends what it still asks for.
        if "ERR_ABORTED" not in (request.failure or ""):
            complaints.append(f"failed: {request.url} {request.failure}")

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(f"pageerror: {error}"))
    page.on("requestfailed", broken)
    yield page
    assert not complaints, complaints


def session_cookie(role: str, address: str) -> dict[str, str]:
    """Return the cookie of a new person with this role."""
    client = Client()
    client.force_login(factories.user(role, f"{role}.person"))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    return {"name": cookie.key, "value": cookie.value, "url": address}


def sign_in(context: BrowserContext, served: str, role: str) -> None:
    """Give the browser the session of a new person with this role."""
    context.add_cookies([session_cookie(role, served)])  # type: ignore[list-item]


@pytest.fixture
def console(clean: Page, context: BrowserContext, served: str, transactional_db: None) -> Page:
    """A clean page of an operator; go to it with `console.goto(address)`."""
    cache.clear()
    sign_in(context, served, Role.OPERATOR)
    return clean


@pytest.fixture
def address(served: str) -> str:
    return served


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell with a failure what the server did at that moment: a time-out alone does not say who was slow."""
    report = yield
    if call.when == "call" and report.failed:
        try:
            report.sections.append(("statements in the database", _statements()))
        except DatabaseError as error:
            # A time-out in the middle of a statement broke the connection: the next test gets another.
            report.sections.append(("statements in the database", f"not known: {error}"))
            connection.close()
        report.sections.append(("threads of the server", _threads()))
    return report


def _statements() -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, wait_event_type, wait_event, now() - query_start, left(query, 2000) "
            "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return "\n\n".join(" | ".join(map(str, row)) for row in cursor.fetchall())


def _threads() -> str:
    frames = sys._current_frames().values()
    return "\n\n".join("".join(traceback.format_stack(frame)[-6:]) for frame in frames)
