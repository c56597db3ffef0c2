"""Why a text is left out before any consensus: the named filters of Self-Instruct, and a few of our own.

Source: Self-Instruct's `bootstrap_instructions.py` (instructions) and `prepare_for_finetuning.py`
(instances); which the paper keeps (section 3.1).
"""

import re
import string
from enum import StrEnum
from functools import lru_cache
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.method.tasks import TaskType


class Rejection(StrEnum):
    """The reasons for which a text is rejected before the consensus; each labels its row for good."""

    # of an instruction
    EMPTY_INSTRUCTION = "empty_instruction"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    UNSUITABLE_WORD = "unsuitable_word"
    WRITES_A_PROGRAM = "writes_a_program"
    STARTS_WITH_PUNCTUATION = "starts_with_punctuation"
    STARTS_WITH_NON_ASCII = "starts_with_non_ascii"
    HOLDS_A_MARKER = "holds_a_marker"
    NOT_NOVEL = "not_novel"
    # of an instance or of one more output
    MISSING_OUTPUT_MARKER = "missing_output_marker"
    EMPTY_INPUT = "empty_input"
    PLACEHOLDER_INPUT = "placeholder_input"
    INPUT_REPEATS_INSTRUCTION = "input_repeats_instruction"
    EMPTY_OUTPUT = "empty_output"
    PLACEHOLDER_OUTPUT = "placeholder_output"
    OUTPUT_REPEATS_INSTRUCTION = "output_repeats_instruction"
    OUTPUT_ENDS_WITH_COLON = "output_ends_with_colon"
    OUTPUT_EQUALS_INPUT = "output_equals_input"
    # of any text
    TRUNCATED = "truncated"


class InstructionLimits(BaseModel):
    """What an instruction may look like. The defaults are Self-Instruct's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_words: int = Field(4, ge=1)
    max_words: int = Field(150, ge=1)
    unsuitable_words: tuple[str, ...] = (
        *("image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps"),
        *("draw", "plot", "go to"),
    )
    program_starts: tuple[str, ...] = ("Write a program",)
    punctuation_start: bool = False  # whether it may start with ASCII punctuation
    non_ascii_start: bool = False  # whether it may start with a character outside ASCII

    @model_validator(mode="after")
    def _check_words(self) -> Self:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words ({self.min_words}) is above max_words ({self.max_words})")
        if not all(word.strip() for word in (*self.unsuitable_words, *self.program_starts)):
            raise ValueError("an empty word would reject every instruction")
        return self


class InstanceLimits(BaseModel):
    """What an instance may look like. A placeholder stands where a text should be, in any case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_placeholders: tuple[str, ...] = (
        *("n/a", "none", "no input", "noinput", "no input needed", "no input required"),
        *("not applicable", "input", "your input", "your input here", "...", "…"),
    )
    # "None" can be an honest answer, so it is not among these
    output_placeholders: tuple[str, ...] = (
        *("n/a", "no output", "not applicable", "your output", "your output here", "your answer here"),
        *("...", "…"),
    )
    colon_end: bool = False  # whether an output may end with a colon: most that do are unfinished


INSTRUCTION_LIMITS = InstructionLimits()
INSTANCE_LIMITS = InstanceLimits()

# The markers of the instance prompts: an instruction that holds one would break the block it is shown in.
_MARKER = re.compile(r"^(?:(?:Task \d+|Instruction|Input|Output):|\[END\])", re.MULTILINE)


def instruction_rejection(
    text: str, limits: InstructionLimits = INSTRUCTION_LIMITS, *, truncated: bool = False
) -> Rejection | None:
    """The first reason to reject an instruction, in Self-Instruct's order, or `None`."""
    stripped = text.strip()
    words = len(stripped.split())
    checks = (
        (truncated, Rejection.TRUNCATED),
        (not stripped, Rejection.EMPTY_INSTRUCTION),
        (words < limits.min_words, Rejection.TOO_SHORT),
        (words > limits.max_words, Rejection.TOO_LONG),
        (_holds_word(stripped, limits.unsuitable_words), Rejection.UNSUITABLE_WORD),
        (_starts_with(stripped, limits.program_starts), Rejection.WRITES_A_PROGRAM),
        (
            not limits.punctuation_start and stripped[:1] in set(string.punctuation),
            Rejection.STARTS_WITH_PUNCTUATION,
        ),
        (not limits.non_ascii_start and not stripped[:1].isascii(), Rejection.STARTS_WITH_NON_ASCII),
        (_MARKER.search(stripped) is not None, Rejection.HOLDS_A_MARKER),
    )
    return next((reason for rejected, reason in checks if rejected), None)


def instance_rejection(
    instruction: str,
    input: str,
    output: str,
    task_type: TaskType,
    limits: InstanceLimits = INSTANCE_LIMITS,
    *,
    truncated: bool = False,
) -> Rejection | None:
    """The first reason to reject an instance of an instruction, or `None`.

    An `output_only` instance is judged by its output alone.
    """
    if truncated:
        return Rejection.TRUNCATED
    with_input = task_type is TaskType.INPUT_OUTPUT
    if with_input and (reason := input_rejection(instruction, input, limits)):
        return reason
    return output_rejection(instruction, input if with_input else "", output, limits)


def output_rejection(
    instruction: str, input: str, output: str, limits: InstanceLimits = INSTANCE_LIMITS
) -> Rejection | None:
    """The first reason to reject an output, whoever wrote it, or `None`; the input is empty where there is none."""
    checks = (
        (not output.strip(), Rejection.EMPTY_OUTPUT),
        (_is_placeholder(output, limits.output_placeholders), Rejection.PLACEHOLDER_OUTPUT),
        (_same(output, instruction), Rejection.OUTPUT_REPEATS_INSTRUCTION),
        (not limits.colon_end and output.rstrip().endswith(":"), Rejection.OUTPUT_ENDS_WITH_COLON),
        (output.strip() == input.strip(), Rejection.OUTPUT_EQUALS_INPUT),
    )
    return next((reason for rejected, reason in checks if rejected), None)


def input_rejection(instruction: str, input: str, limits: InstanceLimits = INSTANCE_LIMITS) -> Rejection | None:
    """The first reason to reject an input, whatever the output, or `None`."""
    # no colon rule here: an honest input may end with one, as in "Instability : Turmoil :: Change :"
    checks = (
        (not input.strip(), Rejection.EMPTY_INPUT),
        (_is_placeholder(input, limits.input_placeholders), Rejection.PLACEHOLDER_INPUT),
        (_same(input, instruction), Rejection.INPUT_REPEATS_INSTRUCTION),
    )
    return next((reason for rejected, reason in checks if rejected), None)


@lru_cache(maxsize=16)
def _word_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    spaced = (r"\s+".join(map(re.escape, word.split())) for word in words)
    return re.compile(rf"(?<!\w)(?:{'|'.join(spaced)})(?!\w)", re.IGNORECASE)


def _holds_word(text: str, words: tuple[str, ...]) -> bool:
    return bool(words) and _word_pattern(words).search(text) is not None


def _starts_with(text: str, starts: tuple[str, ...]) -> bool:
    return text.casefold().startswith(tuple(start.casefold() for start in starts))


def _is_placeholder(text: str, placeholders: tuple[str, ...]) -> bool:
    bare = _fold(text.strip().strip("<>[](){}"))
    return not _folded(placeholders).isdisjoint((bare, bare.removesuffix(".")))


@lru_cache(maxsize=16)
def _folded(texts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_fold, texts))


def _same(text: str, instruction: str) -> bool:
    return _fold(text) == _fold(instruction)


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())
