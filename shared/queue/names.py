"""The queues, and which stage's work lies in which."""

import re

from shared.errors import UserError

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


def queues_of_model(model: str) -> tuple[str, ...]:
    """The queues whose work may need `model`, in the order of the stages."""
    return (INSTRUCTIONS, INSTANCES, outputs(model))


def model_of(queue: str) -> str:
    """The model whose outputs a queue is for."""
    return queue.removeprefix(_OUTPUTS)
