"""What Prometheus is told: every metric, with what it means and by what it is told apart.

A worker is one process, so its counters live in its memory. What can be looked up is looked up when somebody asks
(`Observed`). No label holds a record's id, and what names an ended run or an unused model goes away.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, values
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from shared.telemetry.histogram import BatchHistogram

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody asks for

# Where PROMETHEUS_MULTIPROC_DIR is set, the counters would be kept in files, and a later process of the same id, as
# containers have, would go on from them.
values.ValueClass = values.MutexValue

PREFIX = "ensemble_instruct_"
COUNTED = CollectorRegistry(auto_describe=True)
"""What this process counts as it works."""

Sample: TypeAlias = tuple[Sequence[str], float]
"""The values of a metric's labels, and its own."""

CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
TRANSACTION_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Operation(StrEnum):
    """What a transaction is for."""

    CLAIM = "claim"
    PREPARE = "prepare"
    SAVE = "save"
    GATE = "gate"
    JUDGE = "judge"
    AGREE = "agree"


class Direction(StrEnum):
    """Which way tokens go: read by the LM, or written by it."""

    READ = "read"
    WRITTEN = "written"


ANSWERED = "answered"
LOST = "lost"

CALLS = Counter(
    f"{PREFIX}lm_calls",
    "LM calls that ended: `answered`, with a fault, or `lost`, since another had the work by then",
    ("model", "stage", "outcome"),
    registry=COUNTED,
)
LATENCY = BatchHistogram(
    f"{PREFIX}lm_call_seconds",
    "How long an LM took for an answer",
    ("model", "stage"),
    bounds=CALL_SECONDS,
    registry=COUNTED,
)
TOKENS = Counter(
    f"{PREFIX}lm_tokens",
    "Tokens of the calls that were answered, `read` and `written` by the LM, where its server counts them",
    ("model", "stage", "direction"),
    registry=COUNTED,
)
GATE_WAIT = Histogram(
    f"{PREFIX}gate_wait_seconds",
    "How long a worker waited for a novelty gate",
    ("task_type",),
    buckets=TRANSACTION_SECONDS,
    registry=COUNTED,
)
GATE_HOLD = Histogram(
    f"{PREFIX}gate_hold_seconds",
    "How long it then held the gate, while all others waited",
    ("task_type",),
    buckets=TRANSACTION_SECONDS,
    registry=COUNTED,
)
TRANSACTION = Histogram(
    f"{PREFIX}transaction_seconds",
    "How long a transaction took, with the wait for a connection: to claim work, read what is to be rendered "
    "(`prepare`), save answers, pass the gate, judge, or agree on shares of a window",
    ("operation",),
    buckets=TRANSACTION_SECONDS,
    registry=COUNTED,
)
BATCH = Histogram(
    f"{PREFIX}batch_size",
    "How many pieces of work a transaction was for",
    ("operation",),
    buckets=SIZES,
    registry=COUNTED,
)


Family: TypeAlias = GaugeMetricFamily | CounterMetricFamily


@dataclass(frozen=True, slots=True)
class Observed:
    """A metric that is looked up when somebody asks; it `only_grows`, or is a gauge."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    only_grows: bool = False

    def told(self, samples: Iterable[Sample] = ()) -> Family:
        """The metric as Prometheus reads it."""
        kind = CounterMetricFamily if self.only_grows else GaugeMetricFamily
        family: Family = kind(PREFIX + self.name, self.help, labels=self.labels)
        for labels, value in samples:
            family.add_metric(labels, value)
        return family


BUILD = Observed("build_info", "Always 1: which version this process runs", ("version", "python"))
STREAMS = Observed("streams", "Streams of LM calls at work in this process", ("queue",))
IN_FLIGHT = Observed("lm_calls_in_flight", "LM calls that this process has under way", ("model",))
SLOTS = Observed("lm_window_slots", "How many it may have under way: its share of the model's window", ("model",))
WINDOW = Observed("lm_window_size", "How many all workers together may: `max_in_flight` of the job", ("model",))
CIRCUITS = Observed(
    "lm_endpoint_circuits",
    "For how many runs this process has a server's circuit `closed`, `open` or `half_open`",
    ("model", "endpoint", "state"),
)
LIMIT = Observed(
    "lm_endpoint_limit", "How many calls at once it takes a server to have room for", ("model", "endpoint")
)

# Of runs, by every process that listens to `control`: all tell the same, so take the greatest, never the sum.

READABLE = Observed("store_readable", "Whether the figures of runs could be read from Postgres just now")
STATE = Observed("run_state", "1 for the state that a run is in, else 0", ("run", "state"))
TARGET = Observed("run_target", "Examples to make", ("run", "task_type"))
EXAMPLES = Observed("run_examples", "Examples made, those beyond the target included", ("run", "task_type"))
PROPOSALS = Observed(
    "run_proposals",
    "Proposals that exist (`proposed`) and have passed the gate (`gated`), instructions `accepted` of them, and those "
    "that have reached their end (`concluded`)",
    ("run", "task_type", "step"),
)
WORK = Observed(
    "run_work_items",
    "Pieces of work: `ready` to be claimed, `postponed` after a fault, `leased` to a worker, `dead`",
    ("run", "queue", "state"),
)
OLDEST = Observed(
    "run_oldest_work_seconds", "For how long the oldest unfinished piece of work has been due", ("run", "queue")
)
RECORDS = Observed(
    "run_records",
    "Records by what became of them: `accepted`, or `rejected` for a reason; of examples, `wanted` or `surplus`",
    ("run", "kind", "task_type", "state", "reason"),
)
RUN_CALLS = Observed(
    "run_calls",
    "Generations: LM calls that a server took, `answered` or with a fault",
    ("run", "model", "stage", "outcome"),
    only_grows=True,
)
RUN_TOKENS = Observed("run_tokens", "Their tokens", ("run", "model", "stage", "direction"), only_grows=True)
SPENT = Observed("run_spent", "What a run has cost: `generations`, `tokens`, `hours` at work", ("run", "resource"))
BUDGET = Observed("run_budget", "What it may cost, where its job sets a limit", ("run", "resource"))
FAILING = Observed(
    "run_model_failing_seconds", "For how long nobody has got an answer of a model; 0 if all is well", ("run", "model")
)

OF_WORKERS = (BUILD, STREAMS, IN_FLIGHT, SLOTS, WINDOW, CIRCUITS, LIMIT)
OF_RUNS = (
    *(READABLE, STATE, TARGET, EXAMPLES, PROPOSALS, WORK, OLDEST, RECORDS, RUN_CALLS, RUN_TOKENS, SPENT, BUDGET),
    FAILING,
)
