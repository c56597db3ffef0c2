import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.admin.command_line import CommandLine, Outcome

SIX, HALF = "six words that all are here", "six words that all are not"


def write(name: str, *records: dict[str, Any]) -> None:
    Path(name).write_text("".join(json.dumps(record) + "\n" for record in records))


def record(instruction: str, output: str, **more: Any) -> dict[str, Any]:
    return {"instruction": instruction, "output": output, **more}


def lines(outcome: Outcome) -> list[dict[str, Any]]:
    assert outcome.code == 0, outcome
    return [json.loads(line) for line in outcome.out.splitlines()]


@pytest.fixture(autouse=True)
def files(command: CommandLine) -> None:
    """Three files; the others have another order, and inputs that are missing, null or empty."""
    write("a.jsonl", record("one", "Yes.", input="x", id=7), record("two", SIX), record("three", "left"))
    write(
        "b.jsonl", record("three", "right", input=None), record("two", HALF, input=""), record("one", "no", input="x")
    )
    write(
        "c.jsonl", record("two", HALF + " quite"), record(" one", "yes", input="x\n"), record("three", "up", input="")
    )


def test_what_is_kept_is_written_in_the_order_of_the_first_file(command: CommandLine) -> None:
    outcome = command("consensus", "a.jsonl", "b.jsonl", "c.jsonl")
    one, two = lines(outcome)
    assert one == {
        **record("one", "Yes.", input="x", id=7),
        **{"accepted": True, "reason": None, "choice": 0, "exact_match": True, "margin": None},
        **{"candidates": [0, 1, 2], "scores": [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]},
    }
    assert (two["instruction"], two["output"], two["choice"], two["exact_match"]) == ("two", HALF, 1, False)
    assert two["margin"] > 0
    assert outcome.err == (
        "3 records: 2 kept (1 by an exact match), 1 discarded (1 low_agreement); "
        "chosen: a.jsonl 1, b.jsonl 1, c.jsonl 0\n"
    )


def test_all_writes_the_discarded_ones_with_their_reason(command: CommandLine) -> None:
    written = lines(command("consensus", "a.jsonl", "b.jsonl", "c.jsonl", "--all"))
    assert [line["instruction"] for line in written] == ["one", "two", "three"]
    assert len({frozenset(line.keys() - {"input", "id"}) for line in written}) == 1
    assert (written[2]["accepted"], written[2]["reason"]) == (False, "low_agreement")
    assert (written[2]["output"], written[2]["choice"]) == ("left", None)


def test_rules_thresholds_weights_and_families(command: CommandLine) -> None:
    three = ("consensus", "a.jsonl", "b.jsonl", "c.jsonl")
    assert len(lines(command(*three, "--rule", "none"))) == 3
    assert len(lines(command(*three, "--threshold", 0.99))) == 1
    weights = [part for weight in (3, 1, 1) for part in ("--weight", weight)]
    assert lines(command(*three, *weights))[1]["choice"] == 0
    families = [part for family in ("x", "", "x") for part in ("--family", family)]
    assert [line["instruction"] for line in lines(command(*three, *families))] == ["two"]


def test_a_repeated_question_is_matched_in_order_of_appearance(command: CommandLine) -> None:
    write("a.jsonl", record("q", "first"), record("q", "second"))
    write("b.jsonl", record("q", "first"), record("q", "second"))
    assert [line["output"] for line in lines(command("consensus", "a.jsonl", "b.jsonl"))] == ["first", "second"]


def test_files_that_do_not_fit_are_warned_of(command: CommandLine) -> None:
    write("b.jsonl", record("two", HALF), record("else", "…"), record("two", "once more"))
    outcome = command("consensus", "a.jsonl", "b.jsonl", "c.jsonl", "--all")
    one, two, _ = lines(outcome)
    assert (one["candidates"], one["choice"], one["scores"]) == ([0, 2], 0, [[1.0, 1.0], [1.0, 1.0]])
    assert two["choice"] == 1
    warnings = outcome.err.splitlines()
    assert warnings[0] == "warning: b.jsonl has no output for 2 of 3 records: judged without it"
    assert warnings[1] == "warning: b.jsonl:2: 2 records from here on match none of a.jsonl: left out"


def test_a_record_with_one_output_has_too_few_candidates(command: CommandLine) -> None:
    write("b.jsonl", record("two", SIX))
    written = lines(command("consensus", "a.jsonl", "b.jsonl", "--all"))
    assert [line["reason"] for line in written] == ["too_few_candidates", None, "too_few_candidates"]
    assert written[0]["candidates"] == [0]


def test_files_that_have_nothing_in_common_are_told_what_brings_records_together(command: CommandLine) -> None:
    write("b.jsonl", *(record(f"{number}", SIX) for number in ("five", "six")))
    outcome = command("consensus", "a.jsonl", "b.jsonl")
    assert (
        "warning: instruction and input have to be the same in b.jsonl and a.jsonl; no input is an empty" in outcome.err
    )
    assert "have to be the same in c.jsonl" not in command("consensus", "a.jsonl", "b.jsonl", "c.jsonl").err


def test_the_number_of_a_file_that_is_missing_elsewhere_stays_its_own(command: CommandLine) -> None:
    write("b.jsonl", record("else", "…"))
    write("a.jsonl", record("two", "unlike them, but words"))
    write("d.jsonl", record("two", HALF + " quite"))
    (two,) = lines(command("consensus", "a.jsonl", "b.jsonl", "c.jsonl", "d.jsonl"))
    assert (two["candidates"], two["choice"], two["output"]) == ([0, 2, 3], 2, HALF + " quite")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"instruction": "a", "output": "b"}\n{', "b.jsonl:2: is not JSON"),
        (b'{"instruction": "a"}', "b.jsonl:1: there is no field 'output', only 'instruction'; mend the line"),
        (b'{"output": "a"}', "b.jsonl:1: there is no field 'instruction'"),
        (b'{"instruction": "a", "output": ["b"]}', "b.jsonl:1: output: has to be a text, not a list"),
        (b'{"instruction": "a", "input": {}, "output": "b"}', "b.jsonl:1: input: has to be a text, not an object"),
        (b"\n", "b.jsonl holds no record"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_bad_files_are_refused_before_anything_is_written(command: CommandLine, content: bytes, message: str) -> None:
    Path("b.jsonl").write_bytes(content)
    assert message in command.refused(2, "consensus", "a.jsonl", "b.jsonl")
    assert message in command.refused(2, "consensus", "b.jsonl", "a.jsonl")


def test_options_that_do_not_fit_the_files_are_refused(command: CommandLine) -> None:
    assert "A consensus needs two files or more" in command.refused(2, "consensus", "a.jsonl")
    assert "--weight is given 1 times for 2 files" in command.refused(
        2, "consensus", "a.jsonl", "b.jsonl", "--weight=2"
    )
    assert "--family is given 1 times" in command.refused(2, "consensus", "a.jsonl", "b.jsonl", "--family=x")
    assert "Only one of the files" in command.refused(2, "consensus", "-", "-")
    for wrong in ("--weight=0", "--weight=nan", "--threshold=2", "--rule=best"):
        outcome = command("consensus", "a.jsonl", "b.jsonl", wrong)
        assert (outcome.code, outcome.out) == (2, "")
        assert wrong.partition("=")[0] in outcome.err


def test_numbers_that_json_has_no_word_for_become_null(command: CommandLine) -> None:
    write("odd.jsonl", record("one", "yes", input="x"), record("two", SIX, likes=[float("nan"), 1.5, "NaN"]))
    with Path("odd.jsonl").open("a") as file:
        file.write('{"instruction": "three", "output": "up", "likes": 1e999, "name": "\\ud800"}\n')
    outcome = command("consensus", "odd.jsonl", "a.jsonl", "c.jsonl", "--all")
    assert "NaN]" not in outcome.out
    assert [line.get("likes") for line in lines(outcome)] == [None, [None, 1.5, "NaN"], None]
    assert "odd.jsonl:2: 2 records from here on hold NaN or an infinite number: now null\n" in outcome.err
