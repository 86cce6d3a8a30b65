"""Celery's settings, each with its reason."""

from django.conf import settings

broker_url = settings.BROKER_URL
# Without it, one broken message in the queue ends a worker.
if broker_url.startswith(("redis://", "rediss://")):
    broker_transport = "console.broker:Transport"
broker_connection_retry_on_startup = True
# For ever: a worker does without its doorbell for as long as that takes.
broker_connection_max_retries = None
broker_transport_options = (
    {"socket_timeout": 5, "socket_connect_timeout": 2, "health_check_interval": 10}
    if broker_url.startswith("redis")
    else {}  # another transport takes other options, and fails on these
)
# A request that starts a run must not wait for a broker that is away: the clock rings again.
task_publish_retry = False
task_ignore_result = True
# Early: a lease in Postgres is the only redelivery.
task_acks_late = False
task_default_queue = "interlock"
task_serializer = "json"
accept_content = ["json"]
# One message per free thread; what waits stays in the broker, for any worker.
worker_prefetch_multiplier = 1
worker_pool = "threads"
worker_concurrency = settings.WORKER_THREADS
worker_hijack_root_logger = False
worker_send_task_events = False
worker_enable_remote_control = False
timezone = "UTC"
