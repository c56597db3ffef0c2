"""The words of the method: task types, seed tasks, demonstrations (the paper, section 3)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class TaskType(StrEnum):
    """Whether an instruction needs an input (the paper's type A) or not (type B)."""

    INPUT_OUTPUT = "input_output"
    OUTPUT_ONLY = "output_only"


class Stage(StrEnum):
    """The four steps of the pipeline, each with its own queue and work items."""

    INSTRUCTION = "instruction"
    INSTANCE = "instance"
    OUTPUT = "output"
    CONSENSUS = "consensus"


LM_STAGES = (Stage.INSTRUCTION, Stage.INSTANCE, Stage.OUTPUT)  # those that call an LM


class DemonstrationKind(StrEnum):
    """Where a demonstration comes from: a human's seed task, or this run's accepted instructions."""

    SEED = "seed"
    INSTRUCTION = "instruction"


@dataclass(frozen=True, slots=True)
class SeedInstance:
    """One worked input and output of a seed task; `input` is empty for `output_only`."""

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class SeedTask:
    """A human-written task in Self-Instruct's record format."""

    id: str
    name: str
    instruction: str
    instances: tuple[SeedInstance, ...]
    is_classification: bool

    @property
    def task_type(self) -> TaskType:
        """`input_output` when the first instance has an input, else `output_only`."""
        return TaskType.INPUT_OUTPUT if self.instances[0].input.strip() else TaskType.OUTPUT_ONLY


class Demonstration(NamedTuple):
    """An example shown in a prompt. `key` is the store's id of the seed task or instruction."""

    kind: DemonstrationKind
    key: str
    instruction: str
    input: str = ""
    output: str = ""
