"""`manage.py up` as a user meets it: real processes in a home of their own."""

from __future__ import annotations

import http.client
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import pytest

from tests.installations import Home
from tests.servers import Servers
from tests.workers import until


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home")
    yield home
    for up in home.started:
        up.stop()  # what a failed test left


def answers(url: object) -> bool:
    address = str(url).removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def all_gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=15)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_first_start_prints_address_and_password_and_a_restart_keeps_the_data(home: Home) -> None:
    first = home.up("--workers", "1").wait_until_up()
    password = first.password()
    assert password
    assert answers(first.runtime["web_url"])
    assert str(first.runtime["web_url"]) in first.text
    processes = first.children()
    socket_dir = Path(parse_qs(urlsplit(str(first.runtime["database_url"])).query)["host"][0])
    assert socket_dir.exists()
    assert first.stop() == 0, first.text
    assert all_gone(processes)
    assert "Stopped." in first.text
    assert not socket_dir.exists()

    second = home.up("--workers", "0").wait_until_up()
    assert second.password() is None, "the first password is shown once"
    assert password not in second.text
    assert second.stop(signal.SIGINT) == 0


def test_a_second_up_on_the_same_home_says_so(home: Home) -> None:
    first = home.up("--workers", "0").wait_until_up()
    second = home.up("--workers", "0")
    assert second.process.wait(30) == 1
    second.says(f"Interlock already runs on {home.path} (process {first.process.pid}, http://127.0.0.1:")
    second.stop()
    assert answers(first.runtime["web_url"]), "the first goes on"
    first.stop()


def test_a_killed_part_is_started_again_and_said(home: Home) -> None:
    up = home.up("--workers", "1").wait_until_up()
    worker = up.part("worker")
    worker.kill()
    up.says("worker-1 was killed by SIGKILL; starting it again in 0.5 s")
    up.says("worker-1 runs again")
    until(lambda: up.part("worker").pid != worker.pid)

    postgres = psutil.Process(int((home.path / "postgres" / "postmaster.pid").read_text().split()[0]))
    postgres.kill()
    up.says("postgres was killed by SIGKILL")
    up.says("postgres runs again")
    up.stop()


def test_nothing_outlives_an_up_that_is_killed_and_it_starts_again(home: Home) -> None:
    up = home.up("--workers", "1").wait_until_up()
    processes = up.children()
    assert len(processes) > 4
    up.stop(signal.SIGKILL)
    again = home.up("--workers", "0")  # at once: the old Postgres may still be stopping
    assert all_gone(processes)
    again.wait_until_up()
    assert again.stop() == 0


def test_a_stop_while_it_starts_leaves_nothing(home: Home) -> None:
    up = home.up()
    until(lambda: (home.path / "postgres" / "postmaster.pid").exists(), within_s=30)
    time.sleep(0.3)
    processes = up.children()
    assert up.stop(signal.SIGINT) == 0, up.text
    assert all_gone(processes)


def test_a_first_start_that_was_cut_short_is_begun_anew(home: Home) -> None:
    half = home.path / "postgres.partial"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    up = home.up("--workers", "0").wait_until_up()
    assert up.stop() == 0
    assert not half.exists()


def test_a_database_of_another_version_is_left_alone_and_said(home: Home) -> None:
    (home.path / "postgres").mkdir(parents=True)
    (home.path / "postgres" / "PG_VERSION").write_text("17\n")
    up = home.up("--workers", "0")
    assert up.process.wait(30) == 1
    up.says("was made by Postgres 17; Postgres 18 is installed")
    assert "Traceback" not in up.text


def test_a_database_of_ones_own_that_is_away_is_said_soon(home: Home) -> None:
    up = home.up(environment={"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:9/x"})
    assert up.process.wait(30) == 1
    up.says("Connection refused. Is DATABASE_URL right?")
    assert "hunter2" not in up.text
    assert "Traceback" not in up.text


def test_servers_of_ones_own_are_used_and_left_running(home: Home, servers: Servers) -> None:
    with psycopg.connect(servers.postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE ones_own")
    own = {"DATABASE_URL": servers.postgres.url("ones_own"), "BROKER_URL": servers.valkey.url()}
    up = home.up("--workers", "1", environment=own).wait_until_up()
    assert up.password()
    until(lambda: "worker_ready" in (home.path / "logs" / "worker-1.log").read_text())
    assert up.stop() == 0
    assert not (home.path / "postgres").exists()
    with psycopg.connect(servers.postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE ones_own")


def test_a_home_that_cannot_be_made_is_said(home: Home) -> None:
    home.path.write_text("")
    up = home.up()
    assert up.process.wait(30) == 1
    up.says("cannot be used as home")
    up.stop()
    assert "Traceback" not in up.text
