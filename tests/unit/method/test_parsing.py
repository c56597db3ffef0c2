"""What the parsers make of an LM's answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.method.filters import Rejection
from shared.method.parsing import (
    ParsedInstance,
    ParsedInstruction,
    ParsedOutput,
    parse_instance_with_input,
    parse_instance_without_input,
    parse_instructions,
    parse_output,
)


def instruction_texts(answer: str, limit: int = 9) -> list[str]:
    return [parsed.text for parsed in parse_instructions(answer, limit)]


def test_the_first_instruction_is_taken() -> None:
    assert parse_instructions(" Sort the words.\n\nTask 26: Add.") == (ParsedInstruction("Sort the words.", False),)


def test_further_instructions_are_harvested_up_to_the_limit() -> None:
    answer = " First one.\n\nTask 26: Second one.\nTask 27: Third one."
    assert instruction_texts(answer, limit=2) == ["First one.", "Second one."]
    assert instruction_texts(answer) == ["First one.", "Second one.", "Third one."]


def test_lists_and_blank_lines_inside_an_instruction_stay() -> None:
    text = "Answer both:\n\n1. What is it?\n2. Why? ^\n\nTask: be short."
    assert instruction_texts(f" {text}\n\nTask 26: Another.") == [text, "Another."]


def test_an_echo_of_the_open_slot_is_dropped() -> None:
    assert instruction_texts("Task 25: Sort the words.") == ["Sort the words."]


def test_a_cut_marker_at_the_end_is_no_part_of_the_instruction() -> None:
    for end in ("\n\nTask", "\n\nTask ", "\nTask 26", "\n\nTask 26:"):
        assert parse_instructions(f" Sort the words.{end}", truncated=True) == (
            ParsedInstruction("Sort the words.", False),
        )


def test_only_the_last_instruction_is_truncated() -> None:
    assert parse_instructions(" One.\n\nTask 3: Two an", 2, truncated=True) == (
        ParsedInstruction("One.", False),
        ParsedInstruction("Two an", True),
    )


def test_an_empty_answer_is_one_empty_instruction() -> None:
    assert parse_instructions(" \n") == (ParsedInstruction("", False),)


@pytest.mark.parametrize(
    "answer",
    [
        " x^2\nOutput: y",
        "\nx^2\n\nOutput :\ny\n[END]\n\nInstruction: next\nInput: z\nOutput: w",
        " x^2\n**Output:** y",
        " x^2\n**Output**: y\n",
        " x^2\n### OUTPUT: y",
        " x^2\nOutput:y\n[END",
        " x^2\nOutput:y [END]",
        "Input: x^2\nOutput: y",
        "**Input:** x^2\n**Output:** y",
        "Instruction: Square it.\nInput: x^2\nOutput: y",
        " x^2\nOutput: y\nInstruction: next",
    ],
)
def test_input_and_output_are_found(answer: str) -> None:
    assert parse_instance_with_input(answer) == ParsedInstance("x^2", "y")


def test_inputs_and_outputs_of_many_lines_stay_whole() -> None:
    input, output = "a\n\n- b\n  c", "1. d\n\n\ne ^ f\nInput: g\nOutput: h"
    assert parse_instance_with_input(f" {input}\nOutput: {output}\n[END]") == ParsedInstance(input, output)


def test_markers_inside_a_code_fence_are_code() -> None:
    code = "```\nInput: 3\nOutput: 5\nInstruction: none\n```"
    assert parse_instance_with_input(f" {code}\nOutput: {code}") == ParsedInstance(code, code)


def test_a_fence_that_closes_nothing_is_dropped_from_the_end_of_each_text() -> None:
    assert parse_instructions("Extract the text.\n```\nTask 9: Next one\n```\nx\n```")[0].text == "Extract the text."
    parsed = parse_instance_with_input(" <p>Hello</p>\n```\nOutput: Hello\n ``` \n[END]")
    assert parsed == ParsedInstance("<p>Hello</p>", "Hello")
    assert parse_output("Hello\n```") == ParsedOutput("Hello")


@pytest.mark.parametrize("text", ["So:\n```python\nprint(1)\n```", "Write it so: ```\n1\n```", "It ends with ```"])
def test_a_fence_that_closes_another_stays(text: str) -> None:
    assert parse_output(text) == ParsedOutput(text)


def test_an_output_marker_that_is_only_in_a_fence_still_separates() -> None:
    assert parse_instance_with_input("```\nx\nOutput: y\n```") == ParsedInstance("```\nx", "y")


def test_the_own_spelling_of_a_marker_goes_before_a_looser_one() -> None:
    answer = " name: job\noutput: file\nOutput: fine"
    assert parse_instance_with_input(answer) == ParsedInstance("name: job\noutput: file", "fine")


@pytest.mark.parametrize(
    ("answer", "truncated", "reason"),
    [
        (" only an input", False, Rejection.MISSING_OUTPUT_MARKER),
        ("", False, Rejection.MISSING_OUTPUT_MARKER),
        (" only an inp", True, Rejection.TRUNCATED),
        (" x\nOutput: y an", True, Rejection.TRUNCATED),
        ("\nOutput: y", False, Rejection.EMPTY_INPUT),
        (" x\nOutput:\n[END]", False, Rejection.EMPTY_OUTPUT),
    ],
)
def test_an_answer_without_an_instance_is_a_reason(answer: str, truncated: bool, reason: Rejection) -> None:
    assert parse_instance_with_input(answer, truncated=truncated) is reason


def test_tokens_that_ran_out_after_the_end_of_the_block_do_no_harm() -> None:
    answer = " x\nOutput: y\n[END]\n\nInstruction: and so"
    assert parse_instance_with_input(answer, truncated=True) == ParsedInstance("x", "y")
    assert parse_output(" y\n[END]\n\nInstruc", truncated=True) == ParsedOutput("y")


def test_an_instance_without_input_has_an_output_alone() -> None:
    assert parse_instance_without_input(" y\n\nz\n[END]") == ParsedInstance("", "y\n\nz")
    assert parse_instance_without_input(" \n") is Rejection.EMPTY_OUTPUT


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (" 42\n", "42"),
        ("Output: 42", "42"),
        ("**Output:**\n42", "42"),
        ("Instruction: Add.\nInput: 40 + 2\nOutput: 42", "42"),
        ("```\n42\n```", "42"),
        ("```text\n4\n\n2\n```\n", "4\n\n2"),
        ("```python\n42\n```", "```python\n42\n```"),
        ("```\n4\n```\nor\n```\n2\n```", "```\n4\n```\nor\n```\n2\n```"),
        ("Instructions:\n1. Stir.", "Instructions:\n1. Stir."),
        ("^", "^"),
    ],
)
def test_an_output_is_found(answer: str, output: str) -> None:
    assert parse_output(answer) == ParsedOutput(output)


@pytest.mark.parametrize("answer", ["", " \n", "\n[END]", "\nInstruction: next\nOutput: z", "```\n\n```"])
def test_an_answer_without_an_output_is_a_reason(answer: str) -> None:
    assert parse_output(answer) is Rejection.EMPTY_OUTPUT


def test_a_truncated_output_is_rejected() -> None:
    assert parse_output("The answer is", truncated=True) is Rejection.TRUNCATED


PIECES = ["Task 3:", "Task", "Instruction:", "Input:", "Output:", "**", "output :", "[END]", "```", "^"]
NASTY = st.lists(st.sampled_from([*PIECES, "\n", " ", "x"]) | st.text(max_size=3)).map("".join)


@given(NASTY, st.integers(), st.booleans())
def test_no_text_makes_a_parser_raise_or_give_an_empty_text(text: str, limit: int, truncated: bool) -> None:
    assert 1 <= len(parse_instructions(text, limit, truncated=truncated)) <= max(limit, 1)
    instance = parse_instance_with_input(text, truncated=truncated)
    assert isinstance(instance, Rejection) or (instance.input and instance.output)
    output = parse_output(text, truncated=truncated)
    assert isinstance(output, Rejection) or output.text
    parse_instance_without_input(text, truncated=truncated)
