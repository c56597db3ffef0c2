"""How many workers each pool of a job may have, and how long they may take to stop."""

from dataclasses import dataclass
from math import ceil

from shared.job import JobSpec
from shared.queue import names
from shared.settings import SETTLE_S

CALLS_PER_WORKER = 64  # unfinished calls for each worker, before there is one more
VERDICTS_PER_WORKER = 256
JUDGES = 4


@dataclass(frozen=True, slots=True)
class Pool:
    """The workers of one queue: one more for each `target` pieces of unfinished work, `most` at most."""

    name: str
    queue: str
    target: int
    most: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What follows from a job's limits for its workers."""

    drain_s: int
    """How long calls may go on when a worker stops: as long as the longest may take."""
    pools: tuple[Pool, ...]
    """Those whose queues are the same for every job."""

    @property
    def grace_s(self) -> int:
        """After which Kubernetes kills a worker that was told to stop."""
        return self.drain_s + SETTLE_S


def most_workers(in_flight: int, calls_per_worker: int) -> int:
    """As many as it takes to have that many calls under way: more would wait for slots."""
    return ceil(in_flight / calls_per_worker)


def limits(job: JobSpec, calls_per_worker: int) -> Limits:
    """What the job's models allow."""
    longest_s = max(model.timeout_s for model in job.models.values())
    of_instructions, of_instances = (job.models[stage.model] for stage in (job.instructions, job.instances))
    return Limits(
        ceil(longest_s),
        (
            Pool(
                "instruction-generator",
                names.INSTRUCTIONS,
                calls_per_worker,
                most_workers(of_instructions.max_in_flight, calls_per_worker),
            ),
            Pool(
                "instance-generator",
                names.INSTANCES,
                calls_per_worker,
                most_workers(of_instances.max_in_flight, calls_per_worker),
            ),
            Pool("consensus-judge", names.CONSENSUS, VERDICTS_PER_WORKER, JUDGES),
        ),
    )
