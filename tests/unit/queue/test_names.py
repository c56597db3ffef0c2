import pytest

from shared.queue import names
from shared.queue.hints import task_of


@pytest.mark.parametrize("queue", ["instructions", "instances", "outputs.gemma", "consensus", "control"])
def test_a_queues_name_is_accepted(queue: str) -> None:
    assert names.checked(queue) == queue


@pytest.mark.parametrize("name", ["", "celery", "outputs", "outputs.", "outputs.Big", "instructions ", "outputs.a/b"])
def test_a_name_that_is_no_queues_is_refused(name: str) -> None:
    with pytest.raises(names.UnknownQueueError, match=r"outputs\.<model>"):
        names.checked(name)


def test_a_models_queue_names_the_model() -> None:
    assert names.model_of(names.outputs("gemma-2b")) == "gemma-2b"


def test_every_queue_has_its_task() -> None:
    queues = ("instructions", "instances", "outputs.a", "outputs.b", "consensus", "control")
    assert [task_of(queue) for queue in queues] == [
        "instructions.generate",
        "instances.generate",
        "outputs.generate",
        "outputs.generate",
        "consensus.judge",
        "control.advance",
    ]
