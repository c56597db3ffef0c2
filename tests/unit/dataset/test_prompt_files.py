"""The shipped templates, and a job's own in their place."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataset.prompt_files import (
    SHIPPED_PROMPTS,
    PromptFolderError,
    load_templates,
)
from shared.method.parsing import (
    ParsedInstance,
    ParsedInstruction,
    ParsedOutput,
    parse_instance_with_input,
    parse_instance_without_input,
    parse_instructions,
    parse_output,
)
from shared.method.prompts import PromptError, PromptTemplate, render
from shared.method.tasks import Demonstration, DemonstrationKind, Stage, TaskType

TEMPLATES = load_templates()
VALUES = {"instruction": "Count the vowels.", "input": "banana\n\nsplit"}
MARKERS = ("task", "instruction", "input", "output", "[end")


def is_plain(text: str) -> bool:
    """Whether no line could be taken for a marker, and no fence hides one."""
    lines = (line.strip().lstrip("#*_ ").lower() for line in text.split("\n"))
    return "```" not in text and not any(line.startswith(MARKERS) for line in lines)


# many lines, blank ones among them
TEXTS = (
    st.lists(st.text(max_size=8) | st.sampled_from(["", "^", "1. a", "{{ b }}", "# c", "---"]), min_size=1)
    .map(lambda lines: "\n".join(lines).strip())
    .filter(lambda text: text != "" and is_plain(text))
)


def demonstration(instruction: str, input: str = "", output: str = "") -> Demonstration:
    return Demonstration(DemonstrationKind.SEED, "s1", instruction, input, output)


def after_slot(id: str, slot: str, shown: Demonstration) -> str:
    """What an LM would have to write to give back a demonstration: the prompt after its open slot."""
    return render(TEMPLATES[id], (shown,), **VALUES).split(f"\n{slot}", 1)[1]


def test_the_ids_are_those_a_job_names_by_default() -> None:
    assert set(TEMPLATES) == {
        "instruction_input_output",
        "instruction_output_only",
        "instance_input_output",
        "instance_output_only",
        "output_few_shot",
        "output_zero_shot",
    }


@pytest.mark.parametrize("path", sorted(SHIPPED_PROMPTS.glob("*.md.j2")), ids=lambda path: path.name)
def test_a_shipped_file_is_named_after_its_template(path: Path) -> None:
    assert path.name == f"{TEMPLATES[path.name.removesuffix('.md.j2')].id}.md.j2"


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=lambda template: template.id)
def test_a_shipped_template_renders_without_demonstrations(template: PromptTemplate) -> None:
    prompt = render(template, (), **VALUES)
    assert prompt == prompt.strip()
    assert "\n\n\n" not in prompt
    if template.stage is not Stage.INSTRUCTION:
        assert VALUES["instruction"] in prompt


@pytest.mark.parametrize("id", sorted(set(TEMPLATES) - {"output_zero_shot"}))
def test_prompts_with_the_same_first_demonstrations_begin_the_same(id: str) -> None:
    one, two, three = (demonstration(f"Do {number}.", "in", "out") for number in range(3))
    prompt = render(TEMPLATES[id], (one, two), **VALUES)
    other = render(TEMPLATES[id], (one, three), instruction="Another.", input="one")
    shared_part = prompt[: prompt.index("Do 1.")]
    assert "Do 0." in shared_part
    assert other.startswith(shared_part)


def test_an_output_prompt_shares_its_beginning_with_the_instance_prompt() -> None:
    shown = demonstration("Do it.", "", "out")
    made = render(TEMPLATES["instance_output_only"], (shown,), instruction="Go on.")
    assert made == render(TEMPLATES["output_few_shot"], (shown,), instruction="Go on.", input="")


@pytest.mark.parametrize(
    ("id", "end"),
    [
        ("instruction_input_output", "\n\nTask 2:"),
        ("instruction_output_only", "\n\nTask 2:"),
        ("instance_input_output", "\n\nInstruction: Count the vowels.\nInput:"),
        ("instance_output_only", "\n\nInstruction: Count the vowels.\nOutput:"),
        ("output_few_shot", "\n\nInstruction: Count the vowels.\nInput: banana\n\nsplit\nOutput:"),
        ("output_zero_shot", "\n\nTask: Count the vowels.\n\nInput:\nbanana\n\nsplit"),
    ],
)
def test_a_prompt_ends_with_its_open_slot(id: str, end: str) -> None:
    assert render(TEMPLATES[id], (demonstration("Do it.", "in", "out"),), **VALUES).endswith(end)


@pytest.mark.parametrize("id", ["output_few_shot", "output_zero_shot"])
def test_an_output_prompt_for_no_input_has_no_input_line(id: str) -> None:
    prompt = render(TEMPLATES[id], (demonstration("Do it.", "", "out"),), instruction="Go on.", input="")
    assert "Input:" not in prompt


def test_outputs_are_decoded_greedily_and_the_rest_sampled() -> None:
    for template in TEMPLATES.values():
        assert template.decoding.greedy == (template.stage is Stage.OUTPUT)


def test_output_templates_serve_both_task_types() -> None:
    served = {template.id: template.task_type for template in TEMPLATES.values()}
    assert served["output_few_shot"] is served["output_zero_shot"] is None
    assert served["instance_output_only"] is TaskType.OUTPUT_ONLY


@given(TEXTS)
def test_a_shown_instruction_is_parsed_back(text: str) -> None:
    answer = after_slot("instruction_input_output", "Task 1:", demonstration(text))
    assert parse_instructions(answer) == (ParsedInstruction(text, False),)


@given(TEXTS, TEXTS)
def test_a_shown_instance_is_parsed_back(input: str, output: str) -> None:
    answer = after_slot("instance_input_output", "Input:", demonstration("Do it.", input, output))
    assert parse_instance_with_input(answer) == ParsedInstance(input, output)


@given(TEXTS)
def test_a_shown_output_is_parsed_back(output: str) -> None:
    shown = demonstration("Do it.", "", output)
    assert parse_output(after_slot("output_few_shot", "Output:", shown)) == ParsedOutput(output)
    answer = after_slot("instance_output_only", "Output:", shown)
    assert parse_instance_without_input(answer) == ParsedInstance("", output)


def write(folder: Path, name: str, id: str, body: str = "Mine: {{ instruction }}") -> None:
    source = (SHIPPED_PROMPTS / "output_zero_shot.md.j2").read_text()
    front = source.split("---\n")[1].replace("output_zero_shot", id)
    (folder / name).write_text(f"---\n{front}---\n{body}")


def test_a_template_of_ones_own_stands_in_for_the_shipped_one(tmp_path: Path) -> None:
    write(tmp_path, "a.md.j2", "output_zero_shot")
    write(tmp_path, "b.md.j2", "terse")
    templates = load_templates(tmp_path)
    assert set(templates) == {*TEMPLATES, "terse"}
    assert render(templates["output_zero_shot"], (), **VALUES) == "Mine: Count the vowels."
    assert templates["output_few_shot"] == TEMPLATES["output_few_shot"]


def test_one_id_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.md.j2", "terse")
    write(tmp_path, "b.md.j2", "terse")
    with pytest.raises(PromptError, match=r"b\.md\.j2 .* id: 'terse' is taken by another file"):
        load_templates(tmp_path)


def test_a_faulty_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, "a.md.j2", "terse", body="{{ nothing }}")
    with pytest.raises(PromptError, match=r"a\.md\.j2 is not a prompt template: body"):
        load_templates(tmp_path)


@pytest.mark.parametrize(("name", "reason"), [("", "holds no file"), ("nowhere", "is not a folder")])
def test_a_folder_without_templates_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(PromptFolderError, match=reason):
        load_templates(tmp_path / name)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.md.j2").write_bytes(b"\xff")
    with pytest.raises(PromptFolderError, match=r"a\.md\.j2: .* can't decode"):
        load_templates(tmp_path)
