import pytest

from shared.method.tasks import Stage
from shared.queue import names
from shared.queue.hints import task_of


@pytest.mark.parametrize(
    ("queue", "stage"),
    [
        ("instructions", Stage.INSTRUCTION),
        ("instances", Stage.INSTANCE),
        ("outputs.gemma", Stage.OUTPUT),
        ("consensus", Stage.CONSENSUS),
        ("control", None),
    ],
)
def test_each_queue_holds_the_work_of_one_stage(queue: str, stage: Stage | None) -> None:
    assert names.checked(queue) == queue
    assert names.stage_of(queue) is stage


@pytest.mark.parametrize("name", ["", "celery", "outputs", "outputs.", "outputs.Big", "instructions ", "outputs.a/b"])
def test_a_name_that_is_no_queues_is_refused(name: str) -> None:
    with pytest.raises(names.UnknownQueueError, match=r"outputs\.<model>"):
        names.checked(name)


def test_a_models_queue_names_the_model() -> None:
    assert names.model_of(names.outputs("gemma-2b")) == "gemma-2b"


@pytest.mark.parametrize(
    ("queue", "later"),
    [
        ("instructions", ("instances", "outputs.gemma")),
        ("instances", ("outputs.gemma",)),
        ("outputs.gemma", ()),
        ("consensus", ()),
        ("outputs.another", ()),
    ],
)
def test_the_queues_nearer_to_the_end_go_first(queue: str, later: tuple[str, ...]) -> None:
    assert names.later_queues(queue, "gemma") == later


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
