"""Rules of the tree that no linter knows: who writes states, where Celery may stand, how long things get."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("console", "workflows", "retrieval", "providers")
# The engine's own statements are SQL; by the ORM only recovery leads a run out of an end state.
STATE_WRITERS = {"workflows/recovery/retrying.py", "workflows/recovery/resolving.py"}
CELERY = {
    "console/broker.py",
    "console/celery.py",
    "console/celeryconfig.py",
    "console/apps.py",
    "console/doctor.py",
    "console/api/health.py",
    "console/management/commands/worker.py",
    "workflows/tasks.py",
    "workflows/engine/dispatch.py",
}
MAX_MODULE, MAX_FUNCTION = 400, 40


def modules() -> Iterator[tuple[str, ast.Module, str]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                text = path.read_text()
                yield path.relative_to(ROOT).as_posix(), ast.parse(text), text


def test_states_of_runs_are_written_by_their_owners_alone() -> None:
    writers = {
        name
        for name, tree, text in modules()
        if name.startswith("workflows") and ("Run.objects" in text or "StepRun.objects" in text)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("update", "create", "bulk_update")
        and any(keyword.arg == "state" for keyword in node.keywords)
    }
    assert writers <= STATE_WRITERS


def test_celery_stays_at_the_doors() -> None:
    users = {
        name
        for name, tree, _ in modules()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("celery", "kombu"))
        or (
            isinstance(node, ast.Import)
            and any(n.name.split(".")[0] in ("celery", "kombu") for n in node.names)
        )
    }
    assert users <= CELERY


def test_no_module_and_no_function_outgrows_its_reader() -> None:
    long = []
    for name, tree, text in modules():
        if text.count("\n") > MAX_MODULE:
            long.append(f"{name}: {text.count(chr(10))} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION:
                    long.append(f"{name}:{node.lineno} {node.name}: {lines} lines")
    assert not long
