"""Whether anybody works on what a job needs."""

import contextlib

from celery import Celery
from kombu.exceptions import OperationalError

from services.admin.connections import open_broker
from services.admin.console import warn
from shared.errors import EnsembleInstructError
from shared.job import JobSpec
from shared.queue import names

PATIENCE_S = 1.0


def queues_of(job: JobSpec) -> list[str]:
    """The queues that a run of this job puts work into, in the order of the stages."""
    outputs = dict.fromkeys(names.outputs(voice.model) for voice in job.outputs)
    made = () if job.imported else (names.INSTRUCTIONS, names.INSTANCES)
    return [*made, *outputs, names.CONSENSUS, names.CONTROL]


def unheard(broker: Celery, job: JobSpec) -> list[str]:
    """Those of the job's queues that no live worker listens to; none where the broker can't say."""
    heard = set()
    with contextlib.suppress(OperationalError, OSError):
        for queues in (broker.control.inspect(timeout=PATIENCE_S).active_queues() or {}).values():
            heard |= {queue["name"] for queue in queues}
        return [queue for queue in queues_of(job) if queue not in heard]
    return []


def warn_of_unheard(job: JobSpec, broker: Celery | None = None) -> None:
    """Tell a person which of a run's queues nobody works on, or that the broker can't be asked."""
    try:
        queues = ",".join(unheard(broker or open_broker(), job))
    except EnsembleInstructError as error:
        return warn(str(error))
    if queues:
        warn(f"no worker listens to {queues}; start one: celery -A workers.app worker -Q {queues}")
