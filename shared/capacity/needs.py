"""What a foreseen run needs: workers for its queues, servers for its models, room for its rows."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from shared.capacity.figures import Figures
from shared.capacity.scenario import Planned
from shared.job import JobSpec
from shared.method.simulation.outcome import Simulated
from shared.method.simulation.scenario import Scenario
from shared.queue import names

TOLERATED = 1.25  # times as many calls at once on a server as were measured, before answers are taken to be slower


@dataclass(frozen=True, slots=True)
class Calls:
    """LM calls, and the tokens that they read and write; `None` where no token was measured."""

    calls: int
    prompt_tokens: int | None
    completion_tokens: int | None


@dataclass(frozen=True, slots=True)
class QueueNeeds:
    """A pool of workers: its LM calls or verdicts, how many processes it takes, and how busy a core each keeps."""

    queue: str
    model: str | None
    calls: int
    verdicts: int
    prompt_tokens: int | None
    completion_tokens: int | None
    workers: int
    cpu: float


@dataclass(frozen=True, slots=True)
class ServerNeeds:
    """The servers of models that share them.

    The job names `servers` of them; `needed` are as many as have no more calls at once than one had when it was
    measured, so that it answers as quickly. `in_flight` is the mean while there are any calls, for `busy_s` seconds.
    """

    models: tuple[str, ...]
    calls: int
    max_in_flight: int
    in_flight: float
    busy_s: float
    calls_per_s: float
    measured_in_flight: float | None
    servers: int
    needed: int
    gpu_hours: float


@dataclass(frozen=True, slots=True)
class TableNeeds:
    """A table's rows, and the bytes that they take with their indexes."""

    table: str
    rows: int
    bytes: int


def calls_of(planned: Planned, result: Simulated, queue: str | None = None) -> Calls:
    """The LM calls of a queue, or all."""
    counts = [
        (count, planned.asked[name].figures)
        for name, count in result.calls.items()
        if queue is None or planned.asked[name].call.queue == queue
    ]
    return Calls(
        calls=round(sum(count for count, _ in counts)),
        prompt_tokens=_tokens((count, figures.prompt_tokens) for count, figures in counts),
        completion_tokens=_tokens((count, figures.completion_tokens) for count, figures in counts),
    )


def _tokens(counts: Iterable[tuple[float, float | None]]) -> int | None:
    known = [count * tokens for count, tokens in counts if tokens is not None]
    return round(sum(known)) if known else None


def queues(planned: Planned, scenario: Scenario, result: Simulated) -> Iterator[QueueNeeds]:
    """Every queue of the job, in the order of the stages."""
    models = {each.call.queue: each.call.model for each in planned.asked.values()}
    processes = Counter(queue for worker in scenario.workers for queue in worker)
    for queue in (*models, names.CONSENSUS):
        its = calls_of(planned, result, queue)
        yield QueueNeeds(
            queue=queue,
            model=models.get(queue),
            calls=its.calls,
            verdicts=round(sum(each.verdicts for each in result.made.values())) if queue == names.CONSENSUS else 0,
            prompt_tokens=its.prompt_tokens,
            completion_tokens=its.completion_tokens,
            workers=processes[queue],
            cpu=result.cpu_s.get(queue, 0.0) / result.seconds / processes[queue],
        )
    yield QueueNeeds(names.CONTROL, None, 0, 0, None, None, 1, 0.0)  # hints and leases, every other second


def servers(
    job: JobSpec, figures: Figures, scenario: Scenario, result: Simulated, gpus: Mapping[str, float]
) -> Iterator[ServerNeeds]:
    """The servers of each window."""
    models = {call.name: call.model for kind in scenario.kinds for call in kind.calls}
    for pool in scenario.pools:
        use, members = result.servers[pool.name], tuple(pool.limits)
        calls = sum(count for name, count in result.calls.items() if models[name] in members)
        measured = [its.in_flight for name in members if (its := figures.models.get(name)) and its.in_flight]
        there = len(set(job.models[members[0]].urls))
        needed = max(there, ceil(use.crowd / (TOLERATED * min(measured)))) if measured else there
        yield ServerNeeds(
            models=members,
            calls=round(calls),
            max_in_flight=pool.size,
            in_flight=use.in_flight,
            busy_s=use.busy_s,
            calls_per_s=calls / use.busy_s / needed if use.busy_s else 0.0,
            measured_in_flight=min(measured) if measured else None,
            servers=there,
            needed=needed,
            gpu_hours=needed * max(gpus.get(name, 1.0) for name in members) * use.busy_s / 3600,
        )


def tables(job: JobSpec, figures: Figures, result: Simulated) -> Iterator[TableNeeds]:
    """The tables that grow with the examples, the largest first."""
    rows, voices, row_bytes = Counter[str](), len(job.outputs), figures.row_bytes()
    for made in result.made.values():
        written = made.instructions / max(made.proposals, 1)  # of a proposal; more than one if they are harvested
        rows["work_items"] += round(
            made.proposals + made.instructions + voices * made.accepted_instances + made.verdicts
        )
        rows["instructions"] += round(made.proposals * max(1.0, written))
        rows["instances"] += round(made.instances)
        rows["candidates"] += round((1 + voices) * made.accepted_instances)
        rows["verdicts"] += round(made.verdicts)
        rows["examples"] += round(made.examples)
    rows["generations"] = round(result.all_calls)
    sized = [TableNeeds(table, count, round(count * row_bytes[table])) for table, count in rows.items()]
    yield from sorted(sized, key=lambda each: -each.bytes)
