from __future__ import annotations

import os
import socket
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.embedded import EmbeddedServerError, Postgres, Valkey, free_port, postgres_settings


@given(st.integers(min_value=0, max_value=4 * 2**20))
def test_shared_buffers_follow_the_memory_within_bounds(memory_mb: int) -> None:
    assert 64 <= int(postgres_settings(memory_mb)["shared_buffers"].removesuffix("MB")) <= 1024


def test_settings_keep_durability_and_keep_statements_out_of_logs() -> None:
    settings = postgres_settings(8192)
    assert "fsync" not in settings
    assert "synchronous_commit" not in settings
    assert settings["log_min_error_statement"] == "panic"


@given(st.text(alphabet="abc/ ü", max_size=200))
def test_a_socket_path_always_fits(name: str) -> None:
    socket_dir = Postgres(Path("/srv") / name.strip("/") / "postgres", "x").socket_dir
    assert len(os.fsencode(socket_dir / ".s.PGSQL.5432")) <= 107


def test_two_homes_never_share_a_socket() -> None:
    long = Path("/srv") / ("x" * 120)
    assert (
        Postgres(long / "a" / "postgres", "x").socket_dir != Postgres(long / "b" / "postgres", "x").socket_dir
    )


def test_addresses_quote_what_they_carry() -> None:
    assert Postgres(Path("/srv/x/postgres"), "p@ss").url().startswith("postgresql://interlock:p%40ss@/")
    assert Valkey(Path("/srv"), "p@ss", 1234).url() == "redis://:p%40ss@127.0.0.1:1234/0"


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port


def test_no_free_port_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(EmbeddedServerError, match="--port"):
            free_port(taken.getsockname()[1], tries=1)


def test_a_socket_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path / "postgres", "x")
    target = tmp_path / "elsewhere"
    target.mkdir()
    postgres.socket_dir.parent.mkdir(exist_ok=True)
    postgres.socket_dir.symlink_to(target)
    try:
        with pytest.raises(EmbeddedServerError, match="belongs to somebody else"):
            postgres.prepare()
    finally:
        postgres.socket_dir.unlink()


def test_a_database_that_recovers_from_a_crash_is_given_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lost patience would end it, and it would have to begin anew."""
    said = iter(["Connection refused", *["FATAL:  the database system is not yet accepting connections"] * 9])

    def connect(*_: object, **__: object) -> None:
        raise psycopg.OperationalError(next(said, "Connection refused"))

    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(EmbeddedServerError, match="did not answer within"):
        Postgres(Path("/srv/x/postgres"), "x").wait_until_ready(alive=lambda: True, within_s=0.1)
    assert not list(said), "it waited for as long as it heard something, and then no longer"
