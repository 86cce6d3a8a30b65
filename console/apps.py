from django.apps import AppConfig

# Whoever sends a message, a web process or a command, sends it through this application.
from console import celery  # noqa: F401


class ConsoleConfig(AppConfig):
    name = "console"
