from importlib import import_module

from django.apps import AppConfig


class WorkflowsConfig(AppConfig):
    name = "workflows"

    def ready(self) -> None:
        """Make known to the engine what lies above it; models can be imported only now."""
        import_module("workflows.bulk.carrying").register()
