"""Which demonstrations a prompt shows, drawn from plain values so that a call can be drawn again.

Source: the paper, section 3.1 (24 = 20 seeds + 4 generated for `input_output`, 10 = 8 + 2 for
`output_only`; 18 and 15 seeds for instances).
"""

import hashlib
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from shared.method.drawing import choice, sample
from shared.method.tasks import Demonstration, DemonstrationKind, SeedTask, Stage, TaskType

SPARES = 64  # numbers drawn instead of some, whose instructions may themselves not be fit to be shown


@dataclass(frozen=True, slots=True)
class KeyedSeed:
    """A seed task under the store's key, and what is shown of it: its instruction, or that with an instance."""

    key: str
    task: SeedTask
    instruction: Demonstration = field(init=False, compare=False, repr=False)
    instances: tuple[Demonstration, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Make what is shown once, as it is shown time and again."""
        kind, text = DemonstrationKind.SEED, self.task.instruction
        instances = tuple(Demonstration(kind, self.key, text, each.input, each.output) for each in self.task.instances)
        object.__setattr__(self, "instruction", Demonstration(kind, self.key, text))
        object.__setattr__(self, "instances", instances)


@dataclass(frozen=True, slots=True)
class KeyedInstruction:
    """An accepted instruction under the store's key."""

    key: str
    text: str


def rng(*parts: object) -> random.Random:
    """A source of chance that is the same for the same parts, on any machine."""
    text = "\x1f".join(map(str, parts))
    return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()))


def call_seed(job_seed: int, stage: Stage, task_type: TaskType, position: int, voice: str | None) -> int:
    """The seed of an LM call, which depends on the job's seed and the call's place alone, so a run can be repeated."""
    return rng(job_seed, stage, task_type, position, voice).getrandbits(31)


def draw_generated(pool: int, count: int, *, key: str, ordinal: int) -> tuple[int, ...]:
    """Up to `count` of the numbers 0 to `pool` - 1, none twice, anew for every call.

    The numbers stand for accepted instructions in the order of their acceptance, so that the caller
    reads only those that are drawn. `key` and `ordinal` are as below.
    """
    return tuple(sample(range(pool), count, rng(key, "generated", ordinal)))


def draw_instead(pool: int, drawn: Collection[int], *, key: str, ordinal: int) -> tuple[int, ...]:
    """Up to `SPARES` further numbers of the pool, for those of `drawn` that are not to be shown: the first will do."""
    spare = sample(range(pool), SPARES + len(drawn), rng(key, "instead", ordinal))
    return tuple(number for number in spare if number not in drawn)


def sample_instruction_demonstrations(
    seeds: Sequence[KeyedSeed],
    generated: Sequence[KeyedInstruction],
    *,
    n_seeds: int,
    key: str,
    ordinal: int,
    reuse: int = 1,
) -> tuple[Demonstration, ...]:
    """Up to `n_seeds` seeds, drawn, and then all of `generated`, which `draw_generated` chose.

    The pool of seeds holds one task type, in an order that the caller keeps. `key` stands for whatever
    tells this series of calls from others; `ordinal` counts its calls from 0. The seeds are the same,
    in the same order, for `reuse` calls in a row: a server's prefix cache then serves them.
    """
    shown = sample(seeds, n_seeds, rng(key, "seeds", ordinal // reuse))
    return (
        *[seed.instruction for seed in shown],
        *[Demonstration(DemonstrationKind.INSTRUCTION, item.key, item.text) for item in generated],
    )


def sample_instance_demonstrations(
    seeds: Sequence[KeyedSeed], *, n_seeds: int, key: str, ordinal: int, reuse: int = 1
) -> tuple[Demonstration, ...]:
    """Up to `n_seeds` seeds, each with one of its instances; the same for `reuse` calls in a row."""
    chance = rng(key, "instances", ordinal // reuse)
    return tuple([choice(seed.instances, chance) for seed in sample(seeds, n_seeds, chance)])
