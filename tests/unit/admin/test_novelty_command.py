import gzip
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shared.method.novelty import NoveltyIndex
from tests.integration.admin.command_line import PROGRAM, CommandLine, Outcome, start


def write(name: str, texts: Sequence[str], field: str = "instruction") -> None:
    Path(name).write_text("".join(json.dumps({field: text}) + "\n" for text in texts))


def answers(outcome: Outcome) -> list[dict[str, Any]]:
    assert outcome.code == 0, outcome
    return [json.loads(line) for line in outcome.out.splitlines()]


def test_candidates_are_decided_in_order_and_accepted_ones_join_the_pool(command: CommandLine) -> None:
    write("pool.jsonl", ["a b c d", "e f g h"])
    write("candidates.jsonl", ["i j k l", "a b c d!", "I J K L", "a b c d"])
    outcome = command("novelty", "pool.jsonl", "candidates.jsonl")
    lines = answers(outcome)
    assert [line["instruction"] for line in lines] == ["i j k l", "a b c d!", "I J K L", "a b c d"]
    assert [line["accepted"] for line in lines] == [True, False, False, False]
    assert [line["max_similarity"] for line in lines] == [0.0, 1.0, 1.0, 1.0]
    found = [line["most_similar"][0] for line in lines[1:]]
    known = {"instruction": "a b c d", "score": 1.0, "source": "pool", "line": 1}
    assert found == [known, {"instruction": "i j k l", "score": 1.0, "source": "candidates", "line": 1}, known]
    assert outcome.err == "4 candidates: 1 accepted, 3 too similar\n"


def test_exactly_the_threshold_passes(command: CommandLine) -> None:
    write("pool.jsonl", ["a b c d e f g h i j"])
    write("candidates.jsonl", ["a b c d e f g x y z"])
    assert answers(command("novelty", "pool.jsonl", "candidates.jsonl"))[0]["accepted"]
    assert not answers(command("novelty", "pool.jsonl", "candidates.jsonl", "--threshold", 0.69))[0]["accepted"]


def test_the_ten_most_similar_come_with_their_places(command: CommandLine) -> None:
    write("pool.jsonl", [*["other words"] * 3, *[f"a b c w{number}" for number in range(15)]])
    write("candidates.jsonl", ["a b c d"])
    (line,) = answers(command("novelty", "pool.jsonl", "candidates.jsonl"))
    assert [(each["line"], each["score"]) for each in line["most_similar"]] == [(n, 0.75) for n in range(4, 14)]


def test_a_field_of_another_name_blank_lines_and_a_mark_of_bytes(command: CommandLine) -> None:
    Path("pool.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "a b"}\n\n \t\n{"text": "c d", "more": [1]}')
    write("candidates.jsonl", ["c d"], "text")
    (line,) = answers(command("novelty", "pool.jsonl", "candidates.jsonl", "--field", "text"))
    assert line["most_similar"][0]["line"] == 4


def test_any_text_is_written_as_json(command: CommandLine) -> None:
    Path("pool.jsonl").write_text('{"instruction": "half \\ud800 日本"}\n')
    write("candidates.jsonl", ["日本\u2028é"])
    (line,) = answers(command("novelty", "pool.jsonl", "candidates.jsonl"))
    assert line["instruction"] == "日本\u2028é"
    assert line["most_similar"][0]["instruction"] == "half \ud800 日本"


def test_stdin_may_be_one_of_the_files(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    write("pool.jsonl", ["a b"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"instruction": "a b"}\n{}')))
    assert "stdin:2: there is no field 'instruction'" in command.refused(2, "novelty", "pool.jsonl", "-")
    assert "Only one of the files can be read from stdin" in command.refused(2, "novelty", "-", "-")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"instruction": "a"}\n{"instruction": \n', "c.jsonl:2: is not JSON: Expecting value"),
        (b'{"instruction": "a"}\n {"instruction":\r\n{}', "c.jsonl:2: is not JSON: Expecting value at column 17; mend"),
        (b"[" * 100_000, "c.jsonl:1: is not JSON"),
        (b'[{"instruction": "a"}]', "c.jsonl holds a JSON array; write one object a line (jq -c"),
        (b'\n[{"instruction": "a"},\n{"instruction": "b"}]', "c.jsonl holds a JSON array"),
        (b'[\n  {"instruction": "a"}\n]\n', "c.jsonl holds a JSON array"),
        (gzip.compress(b"{}", mtime=0), "c.jsonl is compressed by gzip; unpack it first"),
        (b'{"instruction": "a"}\n["a"]\n', "c.jsonl:2: has to be a JSON object, not a list; mend the line"),
        (b"null\n", "c.jsonl:1: has to be a JSON object, not null"),
        (b'{"text": "a", "n": 1}', "c.jsonl:1: there is no field 'instruction', only 'text', 'n'; name the field that"),
        (b"{}", "c.jsonl:1: there is no field 'instruction', only an empty object"),
        (b'{"instruction": 3}', "c.jsonl:1: instruction: has to be a text, not a number"),
        (b'{"instruction": null}', "c.jsonl:1: instruction: has to be a text, not null"),
        (b'{"instruction": "a"}\n{"instruction": "\xff"}', "c.jsonl:2: is not UTF-8; mend the line"),
        (b"", 'c.jsonl holds no record; write one JSON object a line, such as {"instruction": "…"}'),
        (b" \n\n", "c.jsonl holds no record"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_bad_files_are_refused_before_anything_is_written(command: CommandLine, content: bytes, message: str) -> None:
    write("good.jsonl", ["a b"])
    Path("c.jsonl").write_bytes(content)
    assert message in command.refused(2, "novelty", "good.jsonl", "c.jsonl")
    if content.strip():  # an empty pool is no mistake
        assert message in command.refused(2, "novelty", "c.jsonl", "good.jsonl")


def test_files_that_cannot_be_read_are_named(command: CommandLine) -> None:
    write("good.jsonl", ["a b"])
    assert "no.jsonl can't be read: No such file" in command.refused(2, "novelty", "no.jsonl", "good.jsonl")
    assert ". can't be read: Is a directory" in command.refused(2, "novelty", "good.jsonl", ".")


@pytest.mark.parametrize("threshold", ["-0.1", "1.5", "nan", "x"])
def test_a_threshold_no_score_can_have_is_refused(command: CommandLine, threshold: str) -> None:
    write("good.jsonl", ["a b"])
    outcome = command("novelty", "good.jsonl", "good.jsonl", f"--threshold={threshold}")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--threshold" in outcome.err


def test_a_reader_that_has_seen_enough_gets_no_traceback(tmp_path: Path) -> None:
    pool, candidates = tmp_path / "pool.jsonl", tmp_path / "candidates.jsonl"
    write(str(pool), ["a b"])
    write(str(candidates), [f"w{number} x{number}" for number in range(3000)])
    with start("novelty", pool, candidates, environment=dict(os.environ)) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 1


def test_with_an_empty_pool_the_candidates_have_only_each_other(command: CommandLine) -> None:
    Path("pool.jsonl").write_text("\n")
    write("candidates.jsonl", ["a b c d", "a b c d"])
    lines = answers(command("novelty", "pool.jsonl", "candidates.jsonl"))
    assert [(line["accepted"], line["max_similarity"]) for line in lines] == [(True, 0.0), (False, 1.0)]


def test_it_starts_without_what_other_commands_need(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"instruction": "a"}\n')
    program = (
        "import sys\nfrom services.admin.main import app\nsys.argv[1:] = ['novelty', 'texts.jsonl', 'texts.jsonl']\n"
        "app(standalone_mode=False)\nassert not {'sqlalchemy', 'celery', 'httptools', 'structlog'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)


def many_texts(count: int) -> list[str]:
    """Texts of which half are too similar to another one; some hold what is hard to write."""
    random = Random(count)
    names = [f"w{number}" for number in range(60)]
    texts = ["\ud800 half", 'a "quote" \\ \n %s {0}', "日本語 the sentence", "", "é\u2028"]
    while len(texts) < count:
        text = random.choice(texts).split() if random.random() < 0.5 else random.choices(names, k=12)
        texts.append(" ".join([*text, random.choice(names)]))
    return texts


def test_processes_that_compare_ahead_change_nothing(tmp_path: Path) -> None:
    """Both are what one index says of one candidate after another, encoded by `json`."""
    pool, candidates = many_texts(500), many_texts(900)[::-1]
    expected = b"".join(map(as_line, one_by_one(pool, candidates)))
    write(str(tmp_path / "pool.jsonl"), pool)
    write(str(tmp_path / "candidates.jsonl"), candidates)
    for cores in ({min(os.sched_getaffinity(0))}, os.sched_getaffinity(0)):
        program = [*PROGRAM, "novelty", "pool.jsonl", "candidates.jsonl"]
        done = subprocess.run(
            program, cwd=tmp_path, check=True, capture_output=True, preexec_fn=partial(os.sched_setaffinity, 0, cores)
        )
        assert done.stdout == expected


def one_by_one(pool: Sequence[str], candidates: Sequence[str]) -> Iterator[dict[str, Any]]:
    index = NoveltyIndex()
    known = {f"pool {n}": {"instruction": text, "source": "pool", "line": n} for n, text in enumerate(pool, 1)}
    for key, text in zip(known, pool, strict=True):
        index.add(key, text)
    for n, text in enumerate(candidates, 1):
        answer = index.assess(text)
        similar = [{**known[match.key], "score": match.score} for match in answer.most_similar]
        in_order = [{name: each[name] for name in ("instruction", "score", "source", "line")} for each in similar]
        yield {
            "instruction": text,
            "accepted": answer.accepted,
            "max_similarity": answer.max_similarity,
            "most_similar": in_order,
        }
        if answer.accepted:
            key = f"candidates {n}"
            known[key] = {"instruction": text, "source": "candidates", "line": n}
            index.add(key, text)


def as_line(value: dict[str, Any]) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value).encode() + b"\n"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="one core has no processes that compare ahead")
def test_a_process_that_is_killed_is_told_of(tmp_path: Path) -> None:
    pool, candidates = tmp_path / "pool.jsonl", tmp_path / "candidates.jsonl"
    write(str(pool), ["a b"])
    write(str(candidates), [f"w{number} x{number}" for number in range(30_000)])
    with start("novelty", pool, candidates, environment=dict(os.environ)) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        process.stdout.read()
        assert "error: A process that compared candidates was ended from outside" in process.stderr.read()
        assert process.wait() == 1
