"""Every operation, called with what its OpenAPI description allows and with what it does not.

Nothing may be a server error, and every answer has the status, type and form that the document promises.
INTERLOCK_FUZZ=200 looks further than a test run does.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings, strategies
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from console.api import schema
from tests import engine
from tests.web.api.conftest import make_token
from tests.web.api.test_documents import CORPUS
from tests.web.api.test_start import ADD
from tests.web_server import WebServer

_COIN = strategies.booleans()
EXAMPLES = int(os.environ.get("INTERLOCK_FUZZ", "8"))
DOCUMENT = schemathesis.openapi.from_dict(json.loads(schema.document()))
OPERATIONS: list[Any] = [result.ok() for result in DOCUMENT.get_all_operations()]  # type: ignore[union-attr]
CHECKED = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    ]
)
_SETTINGS = settings(
    max_examples=EXAMPLES,
    derandomize="INTERLOCK_FUZZ" not in os.environ,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
)


@pytest.fixture
def known(transactional_db: None) -> dict[str, str]:
    """Names of objects that exist, for the addresses that take them."""
    engine.apply(CORPUS)
    engine.deploy(ADD)
    run = engine.run("add", a=1)
    return {"run_id": run.pk, "workflow": "add", "environment": "production", "path": "sum"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_operation_breaks_its_promise(known: dict[str, str], web: WebServer, mode: GenerationMode) -> None:
    headers = {"Authorization": f"Bearer {make_token('admin')}"}
    broken: list[str] = []
    for operation in OPERATIONS:
        try:
            _fuzz(operation, mode, web.url, headers, known)
        except BaseExceptionGroup as errors:
            broken += [f"{operation.label}: {error}" for error in errors.exceptions]
        except Exception as error:
            broken.append(f"{operation.label}: {error}")
    assert not broken, "\n\n".join([*broken, web.log_path.read_text()[-3000:]])


def _fuzz(
    operation: Any, mode: GenerationMode, url: str, headers: dict[str, str], known: dict[str, str]
) -> None:
    @_SETTINGS
    @given(case=operation.as_strategy(generation_mode=mode), real=_COIN)
    def run(case: Any, real: bool) -> None:
        if real:
            _point_to_what_exists(case, known)
        if "wait" in (case.query or {}):
            case.query["wait"] = 0.01
        # Several YAML documents in one answer are more than the tool can read.
        checks = CHECKED[:-1] if operation.path.endswith("/export") else CHECKED
        case.call_and_validate(base_url=url, headers=headers, checks=checks, timeout=30)

    run()


def _point_to_what_exists(case: Any, known: dict[str, str]) -> None:
    corpus = "/corpora/" in case.operation.path
    for name in case.path_parameters or {}:
        case.path_parameters[name] = known.get(name, "handbook" if corpus else "add")
