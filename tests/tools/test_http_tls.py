"""Calls over TLS against a real server on loopback."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.tools.calls import Sending, call, failing, resolving
from tests.witness import Witness
from workflows.tools import network


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of shop.test that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "shop.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


@pytest.fixture
def names() -> list[str | None]:
    """The server names that clients asked for in their handshakes."""
    return []


@pytest.fixture
def secure(certificate: Path, names: list[str | None]) -> Iterator[Witness]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with Witness(tls=context) as witness:
        yield witness


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    network.tls.cache_clear()
    yield
    network.tls.cache_clear()


def test_the_name_is_kept_and_the_mark_comes_after_the_handshake(
    secure: Witness, trusted: None, names: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.1"])
    sending = Sending(takes_s=0.05)

    reply = call(secure.url("/x", host="shop.test"), sending=sending, body={"large": "x" * 300_000})

    (seen,) = secure.calls
    assert reply.body == {"ok": True}
    assert names == ["shop.test"]
    assert seen.headers["host"] == f"shop.test:{secure.port}"
    assert seen.first_byte_at >= sending.answered_at
    assert seen.connected_at < sending.answered_at


def test_a_certificate_of_another_name_is_refused_before_anything_is_sent(
    secure: Witness, trusted: None
) -> None:
    sending = Sending()

    error = failing(secure.url("/x"), sending=sending)

    assert (error.error_class, error.outcome_known, sending.times) == ("connect", True, [])
    assert "certificate" in error.message
    assert secure.calls == ()


def test_a_certificate_that_nobody_vouches_for_is_refused(
    secure: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.1"])

    error = failing(secure.url("/x", host="shop.test"))

    assert (error.error_class, error.outcome_known) == ("connect", True)
    assert secure.calls == ()


def test_a_server_without_tls_gets_nothing_that_it_could_read(trusted: None) -> None:
    with Witness() as plain:
        error = failing(plain.url("/x").replace("http:", "https:"))

        assert (error.error_class, error.outcome_known) == ("connect", True)
        assert plain.calls == ()
