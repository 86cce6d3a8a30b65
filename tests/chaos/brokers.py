"""What may happen to the bells that wait, and to the broker that holds them: Valkey and RabbitMQ alike."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import secrets
from collections.abc import Iterator
from typing import Any, Final, Protocol

import amqp
import redis
from django.conf import settings

from tests.rabbitmq import RabbitMq
from tests.servers import Servers

QUEUE: Final = "interlock"
MOST: Final = 10  # messages that are doubled or mixed at once
GARBAGE: Final = (
    b"",
    b"\x00\xff\xfe not a message",
    b"{",
    b"null",
    b"[]",
    b'{"body": 1}',
    b'{"body": "e30=", "properties": {}}',
    b'{"body": "e30=", "headers": {}, "properties": {"delivery_info": {}, "delivery_tag": "x"}}',
)
# Messages of Celery's form that make no sense: an unknown task, arguments of another type.
NONSENSE: Final = {"workflows.none": b"[[], {}, {}]", "workflows.ring": b'["x"]'}


class Broker(Protocol):
    """A broker that things happen to. While it is away, nothing can happen to its messages, and nothing does."""

    @property
    def url(self) -> str: ...
    def is_up(self) -> bool: ...
    def start(self) -> None: ...
    def kill(self) -> None: ...
    def drop(self, count: int) -> None: ...
    def double(self) -> None: ...
    def reorder(self) -> None: ...
    def poison(self, chance: random.Random) -> None: ...
    def flush(self) -> None: ...


class Valkey:
    """The broker of the session."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.url: str = settings.BROKER_URL

    def is_up(self) -> bool:
        return "valkey" in self.servers.processes

    def start(self) -> None:
        self.servers.start_valkey()

    def kill(self) -> None:
        self.servers.kill("valkey")

    def drop(self, count: int) -> None:
        with self._connected() as broker:
            broker.lpop(QUEUE, count)

    def double(self) -> None:
        with self._connected() as broker:
            for message in broker.lrange(QUEUE, 0, MOST):
                broker.rpush(QUEUE, message, message)

    def reorder(self) -> None:
        with self._connected() as broker:
            for _ in range(MOST):
                broker.lmove(QUEUE, QUEUE, "LEFT", "RIGHT")
                broker.lmove(QUEUE, QUEUE, "LEFT", "LEFT")

    def poison(self, chance: random.Random) -> None:
        nonsense = [_as_stored(task, body) for task, body in NONSENSE.items()]
        with self._connected() as broker:
            broker.rpush(QUEUE, chance.choice([*GARBAGE, *nonsense]))

    def flush(self) -> None:
        with contextlib.suppress(redis.RedisError):
            self.servers.flush_valkey()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[redis.Redis]:
        with (
            contextlib.suppress(redis.RedisError),
            redis.Redis.from_url(self.url, socket_timeout=5) as broker,
        ):
            yield broker


def _as_stored(task: str, body: bytes) -> bytes:
    """Write a message as kombu keeps it in a list."""
    properties = {
        "delivery_mode": 2,
        "delivery_tag": secrets.token_hex(8),
        "delivery_info": {"exchange": "", "routing_key": QUEUE},
        "priority": 0,
        "body_encoding": "base64",
    }
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": _headers(task),
        "properties": properties,
    }
    return json.dumps(message).encode()


def _headers(task: str) -> dict[str, Any]:
    return {"lang": "py", "id": "x", "root_id": "x", "parent_id": None, "group": None, "task": task}


class Rabbit:
    """A node of RabbitMQ."""

    def __init__(self, node: RabbitMq) -> None:
        self.node = node
        self.url = node.url

    def is_up(self) -> bool:
        return self.node.process is not None

    def start(self) -> None:
        self.node.start()

    def kill(self) -> None:
        self.node.kill()

    def drop(self, count: int) -> None:
        with self._connected() as channel:
            self._take(channel, count)

    def double(self) -> None:
        with self._connected() as channel:
            for message in self._take(channel, MOST):
                for _ in range(3):
                    channel.basic_publish(message, routing_key=QUEUE)

    def reorder(self) -> None:
        with self._connected() as channel:
            for message in reversed(self._take(channel, MOST)):
                channel.basic_publish(message, routing_key=QUEUE)

    def poison(self, chance: random.Random) -> None:
        bare = [amqp.Message(each) for each in GARBAGE]
        as_json = {"content_type": "application/json", "content_encoding": "utf-8"}
        typed = [amqp.Message(each, **as_json) for each in GARBAGE]
        nonsense = [
            amqp.Message(body, application_headers=_headers(task), **as_json)
            for task, body in NONSENSE.items()
        ]
        with self._connected() as channel:
            channel.basic_publish(chance.choice([*bare, *typed, *nonsense]), routing_key=QUEUE)

    def flush(self) -> None:
        with self._connected() as channel:
            channel.queue_purge(QUEUE)

    def _take(self, channel: Any, count: int) -> list[amqp.Message]:
        taken = (channel.basic_get(QUEUE, no_ack=True) for _ in range(count))
        return [message for message in taken if message is not None]

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        address = f"127.0.0.1:{self.node.port}"
        with (
            contextlib.suppress(OSError, amqp.AMQPError),
            amqp.Connection(address, connect_timeout=5) as connection,
        ):
            channel = connection.channel()
            channel.queue_declare(QUEUE, durable=True, auto_delete=False)
            yield channel
