"""Credentials: where they may come from, how they lie in the database, and that no message shows one."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from pytest_django import Settings

from providers import credentials
from providers.config import Provider
from providers.errors import ProviderError
from providers.models import Secret
from tests.faultserver import FaultServer
from tests.providing import Kept, ask


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    credentials.forget_all()


def refused(reference: str) -> str:
    with pytest.raises(ProviderError) as caught:
        credentials.resolve(reference)
    assert caught.value.error_class == "missing_credential"
    return caught.value.message


def test_environment_gives_only_allowed_names(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.CREDENTIAL_NAMES = ["*_API_KEY"]
    monkeypatch.setenv("SOME_API_KEY", " sk-1\n")
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    assert credentials.resolve("env:SOME_API_KEY") == "sk-1"
    assert "do not allow documents to read DATABASE_URL" in refused("env:DATABASE_URL")
    assert "NO_API_KEY is not set" in refused("env:NO_API_KEY")


@pytest.mark.parametrize("reference", ["", "env:", "secret:", "plain", "file:/etc/passwd"])
def test_other_references_are_refused(reference: str) -> None:
    assert "write env:NAME or secret:NAME" in refused(reference)


def test_value_that_no_header_may_hold_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BROKEN_API_KEY", "sk-1\r\nX-Evil: 1")
    message = refused("env:BROKEN_API_KEY")
    assert "no HTTP header" in message
    assert "sk-1" not in message


@pytest.mark.django_db
def test_stored_credential_is_encrypted_replaced_and_deleted() -> None:
    credentials.store("shop", value="sk-first")
    assert credentials.resolve("secret:shop") == "sk-first"
    assert b"sk-first" not in bytes(Secret.objects.get(name="shop").ciphertext)
    credentials.store("shop", value="sk-second")
    assert credentials.resolve("secret:shop") == "sk-second"
    assert credentials.delete("shop")
    assert "no credential secret:shop" in refused("secret:shop")
    assert not credentials.delete("shop")


@pytest.mark.django_db
def test_new_key_in_front_still_reads_what_the_old_one_wrote(settings: Settings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.ENCRYPTION_KEY = old
    credentials.store("shop", value="sk-1")
    settings.ENCRYPTION_KEY = f"{new},{old}"
    credentials.forget_all()
    assert credentials.resolve("secret:shop") == "sk-1"
    settings.ENCRYPTION_KEY = new
    credentials.forget_all()
    assert "encrypted with another key" in refused("secret:shop")


@pytest.mark.django_db(transaction=True)
def test_call_holds_no_database_connection_while_it_waits() -> None:
    credentials.store("shop", value="sk-held")
    credentials.forget_all()
    connection.close()
    during: list[object] = []

    def look() -> bool:
        during.append(connection.connection)
        return False

    with FaultServer() as server:
        body = {"name": "p", "api": "openai", "base_url": f"{server.url('ok')}/v1", "models": [{"name": "m"}]}
        provider = Provider.from_document({**body, "credential": "secret:shop"})
        ask(provider, recorder=Kept(), cancelled=look)
        assert server.seen[0].headers["authorization"] == "Bearer sk-held"
    assert during
    assert set(during) == {None}
