"""Reading files that are to be imported: the same from lines and from an array, whatever they hold."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataset import json_array
from shared.dataset.imported_files import Item, items, look_through
from shared.dataset.jsonl import BrokenLineError
from shared.method.tasks import TaskType

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
others = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)
)
records = st.fixed_dictionaries(
    {"instruction": texts}, optional={"input": st.none() | texts, "output": st.none() | texts, "more": others}
)


def read(folder: Path, name: str, content: str) -> list[Item]:
    path = folder / name
    path.write_text(content, encoding="utf-8", newline="")
    return list(items(path))


@given(st.lists(records, min_size=1, max_size=5), st.sampled_from([None, 1]), st.booleans(), st.integers(1, 40))
def test_an_array_holds_what_its_lines_would(
    tmp_path_factory: pytest.TempPathFactory,
    given_records: list[dict[str, Any]],
    indent: int | None,
    ascii: bool,
    chunk: int,
) -> None:
    folder = tmp_path_factory.mktemp("files")
    lines = "".join(json.dumps(each, ensure_ascii=ascii) + "\n" for each in given_records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "CHUNK", chunk)  # so that records are cut wherever they can be
        array = read(folder, "a.json", json.dumps(given_records, ensure_ascii=ascii, indent=indent))
    for one, two, record in zip(read(folder, "a.jsonl", lines), array, given_records, strict=True):
        assert (one.number, one.instruction, one.input, one.output) == (
            *(two.number, two.instruction, two.input, two.output),
        )
        assert one.instruction == record["instruction"]
        said = {name: text if text and text.strip() else None for name, text in record.items() if name != "more"}
        assert (one.input or None, one.output) == (said.get("input"), said.get("output"))
        assert json.loads(one.text) == json.loads(two.text) == record


def test_a_file_is_counted_by_records_and_items(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    several = {"instruction": "x", "instances": [{"input": "y", "output": "z"}, {"input": "y"}, {}]}
    path.write_text(f'\n{{"instruction": "x"}}\n\n{json.dumps(several)}')
    contents = look_through(path)
    assert (contents.records, contents.answered) == (2, 1)
    assert contents.items == {TaskType.OUTPUT_ONLY: 2, TaskType.INPUT_OUTPUT: 2}
    assert [(item.number, item.line, item.part) for item in items(path)] == [(1, 2, 0), (2, 4, 0), (2, 4, 1), (2, 4, 2)]


def test_a_byte_order_mark_and_other_line_ends_are_no_part_of_it(tmp_path: Path) -> None:
    for name, content in (("a.jsonl", '{"instruction": "x"}\r\n'), ("a.json", '[\r\n{"instruction": "x"}\r\n]\r\n')):
        (item,) = read(tmp_path, name, f"\N{ZERO WIDTH NO-BREAK SPACE}{content}")
        assert (item.text, item.line) == ('{"instruction": "x"}', 1 if name == "a.jsonl" else 2)


def test_an_output_of_its_own_goes_before_instances(tmp_path: Path) -> None:
    (item,) = read(tmp_path, "a.jsonl", '{"instruction": "x", "output": "y", "instances": [{"output": "z"}]}')
    assert item.output == "y"


def test_a_record_beyond_all_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_array, "LONGEST", 1000)
    monkeypatch.setattr(json_array, "CHUNK", 100)
    with pytest.raises(BrokenLineError, match=r"a\.json:2: is not JSON: Unterminated string"):
        read(tmp_path, "a.json", '[{"instruction": "x"},\n{"instruction": "' + "x" * 10_000)
