"""What `ensemble-instruct import` refuses, and how it says so; nothing is written then."""

import json
from pathlib import Path

import pytest

from tests.integration.admin.command_line import CommandLine, jsonl
from tests.integration.admin.test_import_command import SORT

GOOD = json.dumps(SORT) + "\n"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", "", "a.jsonl holds no record; write one JSON object a line"),
        ("a.json", "[]", "a.json holds no record"),
        ("a.jsonl", GOOD + '{"instruction": \n' + GOOD, "a.jsonl:2: is not JSON: "),
        ("a.jsonl", GOOD + '"text"\n', "a.jsonl:2: has to be a JSON object, not a text"),
        ("a.jsonl", GOOD + '{"text": "x"}\n', "a.jsonl:2: there is no field 'instruction', only 'text'"),
        ("a.jsonl", GOOD + '{"instruction": 7}\n', "a.jsonl:2: instruction: has to be a text, not a number"),
        ("a.jsonl", '{"instruction": "x", "input": ["y"]}\n', "a.jsonl:1: input: has to be a text, not a list"),
        ("a.jsonl", '{"instruction": "x", "output": {"y": 1}}\n', "a.jsonl:1: output: has to be a text, not an object"),
        ("a.jsonl", '{"instruction": "x", "instances": ["y"]}\n', "a.jsonl:1: instances: has to be a list of objects"),
        (
            "a.jsonl",
            '{"instruction": "x", "instances": [{"output": 1}]}\n',
            "a.jsonl:1: instances.0.output: has to be a text, not a number",
        ),
        ("a.jsonl", '{"instruction": "x\\u0000"}\n', "a.jsonl:1: instruction: holds a NUL or half a surrogate pair"),
        ("a.jsonl", '{"instruction": "x", "more": ["\\ud800"]}\n', "a.jsonl:1: more.0: holds a NUL or half"),
        ("a.jsonl", '{"instruction": "x", "more": NaN}\n', "a.jsonl:1: more: is not JSON, which has no word for NaN"),
        ("a.json", json.dumps({"data": [SORT]}, indent=1), "a.json is neither a JSON array of records, as Alpaca's"),
        ("a.json", "[\n" + GOOD + ",\n7]", "a.json:4: has to be a JSON object, not a number"),
        ("a.json", "[\n" + GOOD + GOOD + "]", "a.json:3: a comma or the array's end has to stand here"),
        ("a.json", "[\n" + GOOD + ",\n" + '{"instruction"}]', "a.json:4: is not JSON: Expecting ':' delimiter"),
        ("a.json", "[\n" + GOOD, "a.json:3: a comma or the array's end has to stand here"),
        ("a.json", "[\n" + GOOD + "] 7", "a.json:3: something stands after the array's end"),
        ("a.json", "[\n" + GOOD + ",]", "a.json:3: is not JSON: Expecting value"),
    ],
)
def test_a_broken_file_is_named_with_its_line_and_nothing_is_written(
    doomed_command: CommandLine, name: str, content: str, told: str
) -> None:
    Path(name).write_text(content)
    assert told in doomed_command.refused(2, "import", name, "--as", "mine")


@pytest.mark.parametrize("content", [b'{"instruction": "\xff"}\n', b'[{"instruction": "\xff"}]\n'])
def test_a_file_that_is_not_utf_8(doomed_command: CommandLine, content: bytes) -> None:
    Path("a.jsonl").write_bytes(content)
    message = doomed_command.refused(2, "import", "a.jsonl", "--as", "mine")
    assert "a.jsonl:1: " in message
    assert "not UTF-8" in message


def test_a_further_file_that_is_broken_stops_it_all(doomed_command: CommandLine) -> None:
    first, second = jsonl("a.jsonl", [SORT]), jsonl("b.jsonl", [SORT, 7])
    assert "b.jsonl:2: has to be a JSON object" in doomed_command.refused(2, "import", first, second, "--as", "mine")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere.jsonl",), "nowhere.jsonl can't be read: No such file or directory"),
        ((".",), ". can't be read: Is a directory"),
        (("-",), "- is no file that can be read twice"),
        (("/dev/null",), "/dev/null is no file that can be read twice"),
        (("good.jsonl", "--rule", "majority"), "--rule majority: a consensus needs two files or more"),
        (("good.jsonl", "--novelty-scope", "all"), "--novelty-scope says what must not be repeated"),
        (("good.jsonl", "--novelty", "0.7", "--novelty-scope", "nobody"), "There is no run 'nobody'"),
        (("good.jsonl", "--voice", "me"), "--voice is given 1 times for 0 files after the first"),
        (("good.jsonl", "good.jsonl", "--voice", "Me!"), "--voice Me!: a name is of small letters"),
        (("good.jsonl", "good.jsonl", "--voice", "instance"), "so the first file's outputs are called"),
        (("good.jsonl", "--source", "a", "--source", "b"), "--source is given 2 times for 1 files"),
    ],
)
def test_what_makes_no_sense_is_refused(doomed_command: CommandLine, arguments: tuple[str, ...], told: str) -> None:
    jsonl("good.jsonl", [SORT])
    assert told in doomed_command.refused(2, "import", *arguments, "--as", "mine")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--as", "My Run"), "write lower-case letters"),
        (("--as", "mine", "--novelty", "0"), "it has to be above 0"),
        (("--as", "mine", "--threshold", "2"), "it has to be from 0 to 1"),
        (("--as", "mine", "--licence", "a\nb"), "should be a line of text"),
    ],
)
def test_values_that_nothing_could_have(doomed_command: CommandLine, arguments: tuple[str, ...], told: str) -> None:
    outcome = doomed_command("import", jsonl("good.jsonl", [SORT]), *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert told in " ".join(outcome.err.replace("│", " ").split())
