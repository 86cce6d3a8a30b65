"""The Celery application. Messages are doorbells: acknowledged early, without results, never with an ETA."""

import os

import structlog
from celery import Celery
from celery.signals import setup_logging, worker_ready, worker_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("interlock")
app.config_from_object("console.celeryconfig")
app.autodiscover_tasks(["workflows"])

_log = structlog.get_logger("interlock.worker")


@setup_logging.connect
def _leave_logging_alone(**_: object) -> None:
    """Be connected: that keeps Celery from setting up logging over Django's LOGGING."""


@worker_ready.connect
def _say_ready(**_: object) -> None:
    _log.info("worker_ready", threads=app.conf.worker_concurrency, pid=os.getpid())


@worker_shutdown.connect
def _say_stopped(**_: object) -> None:
    _log.info("worker_stopped", pid=os.getpid())
