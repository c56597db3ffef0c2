"""The Celery application that workers run and services publish through.

Messages are hints with a run's id: acknowledged early, harmless when lost, late or doubled, since all
state stands in Postgres. docs/decisions.md says why each setting is what it is.
"""

import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit

from celery import Celery
from celery.app.amqp import AMQP, Queues
from kombu.entity import Exchange, Queue

from shared.queue import names
from shared.settings import settings

CONCURRENCY = 16  # streams and judges at once in a worker, by default; one stream holds many calls
SOCKET_TIMEOUT_S = 15
SOCKET_CONNECT_TIMEOUT_S = 5


class KnownQueues(Queues):
    """Makes a queue when it is first named, if it is one of ours; any other name is refused."""

    def __missing__(self, name: str) -> Queue:
        """The queue of this name. Raises `UnknownQueueError`."""
        return self.add(Queue(names.checked(name), Exchange(name), routing_key=name))


class KnownAMQP(AMQP):
    """Celery's messaging with our queues only."""

    queues_cls = KnownQueues


def make_app(broker: str, **overrides: Any) -> Celery:
    """A Celery application on this broker."""
    app = Celery("ensemble-instruct", broker=broker, amqp=KnownAMQP)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=False,
        task_default_queue=names.CONTROL,
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_max": 1},
        worker_pool="threads",  # by default, that is: workers hold one event loop and its connections
        worker_concurrency=CONCURRENCY,
        worker_disable_prefetch=True,
        worker_soft_shutdown_timeout=0,  # Celery can't break off what threads do; DRAIN_S does
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_use_ssl=_tls(broker),
        broker_transport_options={
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": SOCKET_CONNECT_TIMEOUT_S,
            "health_check_interval": 25,
        },
        **overrides,
    )
    return app


def _tls(broker: str) -> dict[str, Any] | None:
    """What a connection over TLS asks for: by itself kombu would take any certificate, whoever's it is."""
    parts = urlsplit(broker)
    if parts.scheme != "rediss" or "ssl_cert_reqs" in parse_qs(parts.query):
        return None
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED}


def app_from_environment() -> Celery:
    """The application on the broker that REDIS_URL names. Raises `MissingSettingError`."""
    return make_app(settings().broker())
