from __future__ import annotations

from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState


def test_no_change_of_a_model_lacks_its_migration() -> None:
    loader = MigrationLoader(None)
    detector = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps))
    changes = detector.changes(graph=loader.graph)
    missing = [
        f"{app}: {operation.describe()}"
        for app, found in changes.items()
        for migration in found
        for operation in migration.operations
    ]
    assert not missing, "run `manage.py makemigrations` and name the migration"


def test_no_two_migrations_end_an_app() -> None:
    assert MigrationLoader(None).detect_conflicts() == {}
