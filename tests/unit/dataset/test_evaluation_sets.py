import hashlib
from pathlib import Path

import pytest

from shared.dataset.evaluation_sets import EvaluationFile, NotUtf8Error, read_evaluation_sets
from shared.dataset.jsonl import ArrayFileError, BrokenLineError, EmptyFileError, UnreadableFileError
from shared.method.ngrams import Texts


def told(path: Path, *questions: str) -> list[dict[str, object] | None]:
    sets = read_evaluation_sets([path])
    found = sets.index.overlaps([Texts(question, "", "") for question in questions])
    return [each and sets.told(each) for each in found]


def test_each_string_of_a_json_line_is_a_text_at_whatever_depth(tmp_path: Path) -> None:
    path = tmp_path / "mmlu.jsonl"
    path.write_text('{"question": "What is up?"}\n\n{"parts": [{"ask": "Who am I?"}, 3, null, true, ["Really so?"]]}\n')
    assert told(path, "what is up", "who am I", "really so", "question") == [
        {"file": "mmlu.jsonl", "line": 1, "ngram": "what is up"},
        {"file": "mmlu.jsonl", "line": 3, "ngram": "who am i"},
        {"file": "mmlu.jsonl", "line": 3, "ngram": "really so"},
        None,
    ]


def test_each_line_of_any_other_file_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "questions.txt"
    path.write_text("\ufeffWhat is up?\n\nWho am I?", encoding="utf-8")
    assert told(path, "what is up", "who am I") == [
        {"file": "questions.txt", "line": 1, "ngram": "what is up"},
        {"file": "questions.txt", "line": 3, "ngram": "who am i"},
    ]


def test_files_are_known_by_their_names_and_content(tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.jsonl"
    one.write_text("What is up?")
    two.write_text('{"a": "Who am I?"}')
    sets = read_evaluation_sets([one, two])
    assert sets.files == tuple(EvaluationFile(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in (one, two))
    (found,) = sets.index.overlaps([Texts("Who am I?", "", "")])
    assert found
    assert sets.told(found)["file"] == "two.jsonl"


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("gone.txt", None, UnreadableFileError),
        ("-", None, UnreadableFileError),
        ("empty.txt", b"\n \n", EmptyFileError),
        ("wordless.jsonl", b'{"a": "+"}', EmptyFileError),
        ("array.json", b'["a"]', ArrayFileError),
        ("broken.jsonl", b'{"a": ', BrokenLineError),
        ("latin.txt", "naïve\n".encode("latin-1"), NotUtf8Error),
        ("latin.jsonl", '{"a": "naïve"}'.encode("latin-1"), BrokenLineError),
    ],
)
def test_what_can_not_be_read_is_named(
    tmp_path: Path, name: str, content: bytes | None, error: type[Exception]
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=name):
        read_evaluation_sets([path])
