"""What worker processes tell of themselves: over HTTP, and in their logs."""

import json
import urllib.error
import urllib.request
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from shared.telemetry.metrics import PREFIX
from tests.e2e.stack import Stack, Worker
from tests.integration.workers.told import Told

TIMEOUT_S = 30.0
LISTENS = "health is told"


def lines(worker: Worker) -> list[dict[str, Any]]:
    """Its log lines; what Celery prints at its start and end is none."""
    return [json.loads(line) for line in worker.log.read_text().splitlines() if line.startswith("{")]


def address(worker: Worker) -> str:
    """Where it answers; empty until it says so."""
    return next((f"http://{line['address']}" for line in lines(worker) if line["event"] == LISTENS), "")


def wait_until_they_listen(stack: Stack) -> None:
    """Until every worker says where it answers."""
    stack.wait("health addresses", lambda: all(address(worker) for worker in stack.workers))


def get(worker: Worker, path: str, timeout_s: float = TIMEOUT_S) -> tuple[int, str]:
    """A status and a text."""
    try:
        with urllib.request.urlopen(address(worker) + path, timeout=timeout_s) as answer:  # noqa: S310 - our own
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def families(worker: Worker) -> list[Metric]:
    """What it tells Prometheus."""
    return list(text_string_to_metric_families(get(worker, "/metrics")[1]))


def scraped(worker: Worker) -> Told:
    """The same as plain values."""
    return {
        (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items())): sample.value
        for family in families(worker)
        for sample in family.samples
    }


def scraped_with(stack: Stack, worker: Worker, *names: str) -> Told:
    """The same, once it tells of all these at one time."""
    told: Told = {}

    def is_told() -> bool:
        told.clear()
        told.update(scraped(worker))
        return set(names) <= {name for name, _ in told}

    stack.wait(f"news of {', '.join(names)}", is_told)
    return told
