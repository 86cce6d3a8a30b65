"""The Celery application. Messages are doorbells: acknowledged early, without results, never with an ETA."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("interlock")
app.config_from_object("console.celeryconfig")
app.autodiscover_tasks(["workflows"])
