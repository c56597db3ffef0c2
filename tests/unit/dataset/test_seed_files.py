"""Seed files on disk: the shipped one, and what is said of others."""

import json
from collections import Counter
from pathlib import Path

import pytest

from shared.dataset.seed_files import UnreadableSeedFileError, check_seeds, load_seeds
from shared.method.seeds import SeedFileError
from shared.method.tasks import TaskType

GOOD = {
    "id": "a",
    "name": "",
    "instruction": "Say it.",
    "instances": [{"input": "", "output": "it"}],
    "is_classification": False,
}


def test_the_shipped_seeds_load() -> None:
    counts = Counter(task.task_type for task in load_seeds())
    assert counts == {TaskType.INPUT_OUTPUT: 125, TaskType.OUTPUT_ONLY: 50}


def test_a_byte_order_mark_and_a_line_separator_inside_a_text_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text(json.dumps(GOOD | {"name": "a\u2028b"}, ensure_ascii=False), encoding="utf-8-sig")
    assert load_seeds(path)[0].name == "a\u2028b"
    assert check_seeds(path) == []


def test_faults_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text("{}")
    with pytest.raises(SeedFileError, match=r"seeds\.jsonl is not a file of seed tasks"):
        load_seeds(path)
    assert {fault.field for fault in check_seeds(path)} == set(GOOD)


def test_bytes_that_are_not_utf_8_are_a_fault_of_their_line(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_bytes(b"{}\n\xff\n")
    (fault,) = check_seeds(path)
    assert (fault.line, fault.message) == (2, "is not UTF-8")
    with pytest.raises(SeedFileError, match="line 2: is not UTF-8"):
        load_seeds(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSeedFileError, match=r"nowhere\.jsonl can't be read: No such file"):
        load_seeds(tmp_path / "nowhere.jsonl")
