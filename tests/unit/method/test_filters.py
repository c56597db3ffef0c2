"""Which instructions and instances are rejected, and for which reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.method.filters import (
    InstanceLimits,
    InstructionLimits,
    Rejection,
    instance_rejection,
    instruction_rejection,
    output_rejection,
)
from shared.method.tasks import TaskType

WITH_INPUT, WITHOUT_INPUT = TaskType.INPUT_OUTPUT, TaskType.OUTPUT_ONLY
INSTRUCTION = "Name the capital of the given country."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  \n ", Rejection.EMPTY_INSTRUCTION),
        ("Complete the lyrics.", Rejection.TOO_SHORT),
        ("word " * 151, Rejection.TOO_LONG),
        ("Describe what the image shows.", Rejection.UNSUITABLE_WORD),
        ("Say which PICTURES are blurred here.", Rejection.UNSUITABLE_WORD),
        ("Then go  to the next page.", Rejection.UNSUITABLE_WORD),
        ("Write a program that sorts numbers.", Rejection.WRITES_A_PROGRAM),
        ("- Sort the following numbers.", Rejection.STARTS_WITH_PUNCTUATION),
        ("Übersetze den Satz ins Englische.", Rejection.STARTS_WITH_NON_ASCII),
        ("Classify the given text.\nInput: I love it.", Rejection.HOLDS_A_MARKER),
    ],
    ids=lambda value: value.value if isinstance(value, Rejection) else "",
)
def test_an_instruction_is_rejected_with_its_reason(text: str, reason: Rejection) -> None:
    assert instruction_rejection(text) is reason


@pytest.mark.parametrize(
    "text",
    [
        "Explain what photography means.",  # "graph" only inside a word
        "Explain the profile of mapping and drawings.",  # as are "file", "map" and "draw"
        "Name three films about chess.",
        "word " * 150,
        "Say hello to everyone",
        "Give the numbered steps:\n1. first\n2. second",
        "Say why Écija is so hot.",
    ],
)
def test_a_good_instruction_passes(text: str) -> None:
    assert instruction_rejection(text) is None


def test_a_truncated_instruction_is_rejected_before_anything_else() -> None:
    assert instruction_rejection("Draw", truncated=True) is Rejection.TRUNCATED


def test_the_length_is_looked_at_before_the_words() -> None:
    assert instruction_rejection("Draw a map.") is Rejection.TOO_SHORT


def test_a_job_may_set_each_limit() -> None:
    limits = InstructionLimits(
        min_words=1,
        max_words=3,
        unsuitable_words=("video",),
        program_starts=(),
        punctuation_start=True,
        non_ascii_start=True,
    )
    assert instruction_rejection("Draw", limits) is None
    assert instruction_rejection("Write a program", limits) is None
    assert instruction_rejection("- Ärgere dich", limits) is None
    assert instruction_rejection("Ärgere dich nicht", limits) is None
    assert instruction_rejection("Watch the video", limits) is Rejection.UNSUITABLE_WORD
    assert instruction_rejection("one two three four", limits) is Rejection.TOO_LONG


def test_no_unsuitable_words_means_that_every_word_is_suitable() -> None:
    assert instruction_rejection("Draw a map of it.", InstructionLimits(unsuitable_words=())) is None


@pytest.mark.parametrize(
    "values",
    [
        {"min_words": 9, "max_words": 8},
        {"unsuitable_words": [" "]},
        {"program_starts": [""]},
        {"words": 3},
    ],
)
def test_limits_that_make_no_sense_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        InstructionLimits.model_validate(values)


@pytest.mark.parametrize(
    ("input", "output", "reason"),
    [
        (" ", "Paris", Rejection.EMPTY_INPUT),
        ("N/A", "Paris", Rejection.PLACEHOLDER_INPUT),
        ("None.", "Paris", Rejection.PLACEHOLDER_INPUT),
        ("<noinput>", "Paris", Rejection.PLACEHOLDER_INPUT),
        ("...", "Paris", Rejection.PLACEHOLDER_INPUT),
        (INSTRUCTION.upper(), "Paris", Rejection.INPUT_REPEATS_INSTRUCTION),
        ("France", "\n", Rejection.EMPTY_OUTPUT),
        ("France", "[Your answer here]", Rejection.PLACEHOLDER_OUTPUT),
        ("France", INSTRUCTION, Rejection.OUTPUT_REPEATS_INSTRUCTION),
        ("France", "The capital is:", Rejection.OUTPUT_ENDS_WITH_COLON),
        ("France", "France", Rejection.OUTPUT_EQUALS_INPUT),
    ],
)
def test_an_instance_is_rejected_with_its_reason(input: str, output: str, reason: Rejection) -> None:
    assert instance_rejection(INSTRUCTION, input, output, WITH_INPUT) is reason


@pytest.mark.parametrize(("input", "output"), [("France", "Paris"), ("Atheism:\nIslam:", "None"), ("1 + 1", "2")])
def test_a_good_instance_passes(input: str, output: str) -> None:
    assert instance_rejection(INSTRUCTION, input, output, WITH_INPUT) is None


def test_an_instance_without_input_is_judged_by_its_output() -> None:
    assert instance_rejection("Name a colour.", "", "Red", WITHOUT_INPUT) is None
    assert instance_rejection("Name a colour.", "", "", WITHOUT_INPUT) is Rejection.EMPTY_OUTPUT


def test_a_truncated_instance_is_rejected() -> None:
    assert instance_rejection(INSTRUCTION, "France", "Par", WITH_INPUT, truncated=True) is Rejection.TRUNCATED


def test_every_voice_is_held_to_the_rules_for_outputs() -> None:
    assert output_rejection(INSTRUCTION, "France", " France\n") is Rejection.OUTPUT_EQUALS_INPUT
    assert output_rejection(INSTRUCTION, "", "France") is None


def test_a_job_may_set_the_placeholders_and_the_colon_rule() -> None:
    limits = InstanceLimits(output_placeholders=("Lorem Ipsum",), colon_end=True)
    assert output_rejection(INSTRUCTION, "France", "lorem ipsum", limits) is Rejection.PLACEHOLDER_OUTPUT
    assert output_rejection(INSTRUCTION, "France", "n/a", limits) is None
    assert output_rejection(INSTRUCTION, "France", "Paris:", limits) is None


@given(st.text(), st.text(), st.text(), st.sampled_from(TaskType))
def test_any_text_gets_an_answer(instruction: str, input: str, output: str, task_type: TaskType) -> None:
    instruction_rejection(instruction)
    instance_rejection(instruction, input, output, task_type)
