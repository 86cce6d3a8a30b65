"""The commands of docs/integrators.md, run as they are written, one after the other."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests import engine
from tests.web.api.conftest import make_token
from tests.web_server import WebServer
from tests.workers import ROOT, Workers

GUIDE = (ROOT / "docs" / "integrators.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def test_the_guide_works_as_written(web: WebServer, worker: Workers, tmp_path: Path) -> None:
    engine.apply("{kind: Workflow, name: there-is-an-environment, steps: [{id: a, set: {b: 1}}]}")
    worker.start()
    script = tmp_path / "guide.sh"
    script.write_text(
        "set -euo pipefail\n" + "\n".join(f"echo '--- {n}'\n{block}" for n, block in enumerate(BLOCKS))
    )
    done = subprocess.run(
        ["bash", str(script)],
        env={**os.environ, "INTERLOCK": web.url, "TOKEN": make_token("admin")},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    outputs = re.split(r"--- \d+\n", done.stdout)[1:]
    assert len(outputs) == len(BLOCKS) == 10
    assert outputs[3] == "{'text': 'Hello, Grace!'}\n"
    assert outputs[4] == "{'text': 'Hello, Ada!'}\n"
    assert "run.succeeded" in outputs[5]
    assert "event: state" in outputs[6]
    assert "'path': 'name'" in outputs[7]
    assert outputs[8].count("succeeded") == 2
    assert outputs[9] == "0\n"
