"""The witness itself, run as a process of its own, the way acceptance tests do."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path

from tests.witness import read_log


def test_a_witness_of_its_own_can_be_told_what_to_do_and_asked_what_it_saw(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    command = [sys.executable, "-m", "tests.witness", "--port", "0", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        connection = http.client.HTTPConnection("127.0.0.1", int(process.stdout.readline()))
        told = {"path": "/x", "behaviours": [{"status": 503}, {"body": "done"}]}
        connection.request("POST", "/_witness/behave", json.dumps(told))
        assert json.load(connection.getresponse()) == []
        replies = []
        for _ in range(3):
            connection.request("POST", "/x", '{"a": 1}', {"Idempotency-Key": "k"})
            reply = connection.getresponse()
            replies.append((reply.status, reply.read()))
        connection.request("GET", "/_witness/calls")
        seen = json.load(connection.getresponse())
        connection.close()
        process.kill()

    assert replies == [(503, b'{"ok": true}'), (200, b"done"), (200, b"done")]
    assert len(seen) == 3
    calls = read_log(log)
    assert [(call.method, call.path, call.key, call.json) for call in calls] == [
        ("POST", "/x", "k", {"a": 1})
    ] * 3
    assert calls[0].at < calls[1].at < calls[2].at
