import json
import sys

import pytest

from services.admin.console import complain, print_json, printable
from services.admin.listed import MOST, ModelsDifferError, ModelsSilentError


def test_what_an_lm_wrote_steers_no_terminal() -> None:
    assert printable("a\x1b[31mb\x07\r\n日本 é") == "a�[31mb��\n日本 é"


def test_messages_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    complain("[bold]models[/bold] [/] are \\[missing]")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "error: [bold]models[/bold] [/] are \\[missing]\n")


def test_json_is_never_wrapped_or_coloured(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": "[red]" + "word " * 200 + "é\x1b"}
    print_json(value)
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 3
    assert json.loads(printed) == value
    assert sys.stdout.encoding.lower() != "utf-8" or "é" in printed


def test_a_long_list_of_faults_is_cut() -> None:
    lines = str(ModelsSilentError([f"fault {number}" for number in range(MOST + 5)])).splitlines()
    assert lines[1] == "  fault 0"
    assert lines[-1] == "  … and 5 more"


def test_who_is_at_fault_decides_the_exit_code() -> None:
    assert (ModelsSilentError([]).exit_code, ModelsDifferError([]).exit_code) == (1, 2)
