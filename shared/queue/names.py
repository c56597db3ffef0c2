"""The queues, and which stage's work lies in which."""

import re

from shared.errors import UserError
from shared.method.tasks import Stage

INSTRUCTIONS = "instructions"
INSTANCES = "instances"
CONSENSUS = "consensus"
CONTROL = "control"
_OUTPUTS = "outputs."
_NAME = re.compile(r"(instructions|instances|consensus|control|outputs\.[a-z0-9][a-z0-9_-]{0,62})")


class UnknownQueueError(UserError):
    """There is no queue '{name}'. Queues: instructions, instances, outputs.<model>, consensus, control"""


def outputs(model: str) -> str:
    """The queue of the outputs that a model is to give."""
    return _OUTPUTS + model


def checked(name: str) -> str:
    """`name`, if it is a queue's. Raises `UnknownQueueError`."""
    if not _NAME.fullmatch(name):
        raise UnknownQueueError(name=name)
    return name


def stage_of(queue: str) -> Stage | None:
    """The stage whose work lies in a queue; `None` for `control`."""
    if queue.startswith(_OUTPUTS):
        return Stage.OUTPUT
    stages = {INSTRUCTIONS: Stage.INSTRUCTION, INSTANCES: Stage.INSTANCE, CONSENSUS: Stage.CONSENSUS}
    return stages.get(queue)


def queues_of_model(model: str) -> tuple[str, ...]:
    """The queues whose work may need `model`, in the order of the stages."""
    return (INSTRUCTIONS, INSTANCES, outputs(model))


def later_queues(queue: str, model: str) -> tuple[str, ...]:
    """The queues after `queue` that also need `model`, and so go first when its window is full."""
    order = queues_of_model(model)
    return order[order.index(queue) + 1 :] if queue in order else ()


def model_of(queue: str) -> str:
    """The model whose outputs a queue is for."""
    return queue.removeprefix(_OUTPUTS)
