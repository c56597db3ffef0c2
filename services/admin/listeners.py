"""Whether anybody works on what a job needs."""

import contextlib

from celery import Celery
from kombu.exceptions import OperationalError

from shared.job import JobSpec
from shared.queue import names

PATIENCE_S = 1.0


def queues_of(job: JobSpec) -> list[str]:
    """The queues that a run of this job puts work into, in the order of the stages."""
    outputs = dict.fromkeys(names.outputs(voice.model) for voice in job.outputs)
    return [names.INSTRUCTIONS, names.INSTANCES, *outputs, names.CONSENSUS, names.CONTROL]


def unheard(broker: Celery, job: JobSpec) -> list[str]:
    """Those of the job's queues that no live worker listens to; none where the broker can't say."""
    heard = set()
    with contextlib.suppress(OperationalError, OSError):
        for queues in (broker.control.inspect(timeout=PATIENCE_S).active_queues() or {}).values():
            heard |= {queue["name"] for queue in queues}
        return [queue for queue in queues_of(job) if queue not in heard]
    return []
