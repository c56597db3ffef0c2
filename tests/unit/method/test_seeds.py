"""Seed records: what is read, and how each fault is named."""

import json

import pytest

from shared.method.seeds import SeedFault, SeedFileError, parse_seeds, seed_digest, seed_faults
from shared.method.tasks import SeedInstance, SeedTask, TaskType


def record(**changes: object) -> str:
    good: dict[str, object] = {
        "id": "capital",
        "name": "capital_of",
        "instruction": "Name the capital.",
        "instances": [{"input": "France", "output": "Paris"}],
        "is_classification": False,
    }
    return json.dumps({key: value for key, value in (good | changes).items() if value is not ...})


def test_a_record_becomes_a_seed_task() -> None:
    assert parse_seeds([record()]) == [
        SeedTask("capital", "capital_of", "Name the capital.", (SeedInstance("France", "Paris"),), False)
    ]


def test_the_task_type_follows_from_the_input() -> None:
    lines = [record(), record(id="colour", instances=[{"input": " ", "output": "Red"}])]
    assert [task.task_type for task in parse_seeds(lines)] == [TaskType.INPUT_OUTPUT, TaskType.OUTPUT_ONLY]


def test_other_keys_and_blank_lines_are_allowed() -> None:
    lines = ["\n", record(source="ours", instances=[{"input": "", "output": "Red", "note": 1}]), ""]
    assert len(parse_seeds(lines)) == 1


def test_only_outer_white_space_is_stripped() -> None:
    (task,) = parse_seeds([record(instances=[{"input": " a\n\n b ", "output": "\nc\td\n"}])])
    assert task.instances == (SeedInstance("a\n\n b", "c\td"),)


@pytest.mark.parametrize(
    ("line", "field", "part"),
    [
        ('{"id": ', "", "is not JSON"),
        ("[" * 100_000, "", "is not JSON"),
        ("9" * 5_000, "", "is not JSON"),
        ("[1]", "", "has to be a JSON object"),
        (record(name=...), "name", "required"),
        (record(id=7), "id", "valid string"),
        (record(id=" "), "id", "is empty"),
        (record(is_classification="no"), "is_classification", "valid boolean"),
        (record(instruction=""), "instruction", "is empty"),
        (record(instruction="a\0b"), "instruction", "NUL"),
        (record(instruction="a\ud800b"), "instruction", "surrogate"),
        (record(instances=[]), "instances", "at least 1"),
        (record(instances=["x"]), "instances.0", "has to be a JSON object"),
        (record(instances=[{"output": "x"}]), "instances.0.input", "required"),
        (record(instances=[{"input": "x", "output": "\n"}]), "instances.0.output", "is empty"),
        (
            record(instances=[{"input": "x", "output": "y"}, {"input": "", "output": "y"}]),
            "instances",
            "either all have an input or none has",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_fault_names_line_and_field(line: str, field: str, part: str) -> None:
    (fault,) = seed_faults(["", line])
    assert (fault.line, fault.field) == (2, field)
    assert part in fault.message


def test_a_repeated_id_is_a_fault_even_of_a_faulty_record() -> None:
    assert seed_faults([record(), record(instruction="")]) == [
        SeedFault(2, "id", "'capital' is taken by line 1"),
        SeedFault(2, "instruction", "is empty"),
    ]


def test_no_seed_task_at_all_is_a_fault() -> None:
    assert [fault.message for fault in seed_faults(["", "\n"])] == ["there is no seed task"]


def test_the_error_lists_every_fault() -> None:
    with pytest.raises(SeedFileError) as caught:
        parse_seeds(["{", record(), record()], "seeds.jsonl")
    lines = str(caught.value).splitlines()
    assert lines[0] == "seeds.jsonl is not a file of seed tasks:"
    assert lines[1].startswith("  line 1: is not JSON")
    assert lines[2] == "  line 3: id: 'capital' is taken by line 2"


def test_the_digest_is_of_what_the_tasks_say() -> None:
    spaced = json.dumps(json.loads(record()), indent=None, separators=(" , ", " : "))
    assert seed_digest(parse_seeds([record()])) == seed_digest(parse_seeds([spaced]))
    assert seed_digest(parse_seeds([record()])) != seed_digest(parse_seeds([record(name="other")]))
