"""What is imported is exported word for word, and stays one with its files."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.dataset.imported_files import look_through
from shared.dataset.importing import FileChangedError, Source, bring_in, import_job
from shared.job import ConsensusStage
from shared.method.consensus import Rule
from shared.store.session import Sessions
from shared.store.tables.origins import Origin
from shared.store.tables.records import Example
from shared.store.tables.runs import Run

UNJUDGED = ConsensusStage(rule=Rule.NONE)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
filled = texts.filter(str.strip)
records = st.fixed_dictionaries({"instruction": filled, "input": texts, "output": filled})


def source(path: Path, content: list[dict[str, str]]) -> Source:
    """A file of these records, looked through."""
    path.write_text("".join(json.dumps(each) + "\n" for each in content), encoding="utf-8")
    return Source(path, look_through(path))


def examples(session: Session) -> list[Example]:
    """All that there are, in the order of a dataset."""
    return list(session.scalars(select(Example).order_by(Example.task_type, Example.position)))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.lists(records, min_size=1, max_size=6))
def test_texts_come_out_as_they_went_in(sessions: Sessions, tmp_path: Path, content: list[dict[str, str]]) -> None:
    sources = [source(tmp_path / "a.jsonl", content)]
    with sessions() as session:  # rolled back, for the next to find the name free
        bring_in(session, import_job("mine", sources, UNJUDGED), sources)
        found = [(row.instruction, row.input, row.output) for row in examples(session)]
    given_texts = [
        (each["instruction"], each["input"] if each["input"].strip() else "", each["output"]) for each in content
    ]
    with_input_first = sorted(given_texts, key=lambda each: not each[1])
    assert found == with_input_first


def test_a_file_that_changes_meanwhile_is_not_imported(sessions: Sessions, tmp_path: Path) -> None:
    content = [{"instruction": "Tell a joke.", "output": "No."}]
    sources = [source(tmp_path / "a.jsonl", content)]
    source(tmp_path / "a.jsonl", [{"instruction": "Tell a tale.", "output": "No."}])
    with sessions() as session, pytest.raises(FileChangedError, match=r"a\.jsonl changed while it was read"):
        bring_in(session, import_job("mine", sources, UNJUDGED), sources)
    with sessions() as session:
        assert [session.scalar(select(func.count()).select_from(kind)) for kind in (Run, Origin)] == [0, 0]


def test_more_than_one_batch_is_written_in_order(
    sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.dataset.intake.BATCH", 3)
    content = [{"instruction": f"Write number {n}.", "input": "", "output": f"{n}"} for n in range(20)]
    sources = [source(tmp_path / "a.jsonl", content), source(tmp_path / "b.jsonl", content[::-1])]
    sources[1] = Source(sources[1].path, sources[1].contents, "second")
    with sessions() as session:
        told: list[int] = []
        brought = bring_in(session, import_job("mine", sources, ConsensusStage()), sources, told.append)
        assert [row.output for row in examples(session)] == [each["output"] for each in content]
    assert (sum(told), brought.counts.examples.total(), brought.lacking, brought.unmatched) == (
        20,
        20,
        [0, 0],
        [[], []],
    )
