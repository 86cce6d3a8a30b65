"""Bodies beyond every bound: refused before they reach a disk, in words, by a real server."""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.web.api.conftest import make_token
from tests.web_server import WebServer

MEGABYTE = b"x" * 1024 * 1024


def _send(web: WebServer, path: str, size: int, *, chunked: bool = False) -> http.client.HTTPResponse:
    def body() -> Iterator[bytes]:
        for _ in range(size):
            yield MEGABYTE

    connection = http.client.HTTPConnection(urlsplit(web.url).netloc, timeout=60)
    headers = {
        "Authorization": f"Bearer {make_token('admin')}",
        "Content-Type": "multipart/form-data; boundary=x",
    }
    if not chunked:
        headers["Content-Length"] = str(size * len(MEGABYTE))
    connection.request("POST", path, body=body(), headers=headers, encode_chunked=chunked)
    return connection.getresponse()


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_of_200_mb_is_refused_and_stored_nowhere(web: WebServer, chunked: bool) -> None:
    answer = _send(web, "/api/v1/corpora/handbook/documents", 200, chunked=chunked)
    assert answer.status == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert b"larger than 8.5 MB" in answer.read()


def test_curl_gets_the_answer_without_sending_the_body(web: WebServer, tmp_path: Path) -> None:
    large = tmp_path / "large.pdf"
    with large.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    done = subprocess.run(
        [
            "curl",
            "-sS",
            "-w",
            "%{http_code} %{size_upload}",
            "-F",
            f"file=@{large}",
            f"{web.url}/api/v1/corpora/handbook/documents",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.endswith("413 0")


def test_a_page_that_gets_too_much_says_so_as_text(web: WebServer) -> None:
    answer = _send(web, "/sign-in/", 9)
    assert answer.status == 413
    assert answer.headers["Content-Type"].startswith("text/plain")
