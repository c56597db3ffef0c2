"""The table of commands, which are imported one by one."""

import subprocess
import sys
from importlib import import_module

import pytest
import typer
from typer.main import get_group

from services.admin.commands import LISTED, load
from tests.integration.admin.command_line import CommandLine


@pytest.mark.parametrize("module", sorted({each.module for each in LISTED.values()}))
def test_every_command_of_a_module_is_listed(module: str) -> None:
    of_module = typer.Typer()
    import_module(f"services.admin.{module}").register(of_module)
    assert set(get_group(of_module).commands) == {name for name, each in LISTED.items() if each.module == module}


@pytest.mark.parametrize("name", LISTED)
def test_a_command_is_listed_by_the_first_line_of_its_help(name: str) -> None:
    assert load(name).help.split("\n\n")[0] == LISTED[name].help


def test_the_list_shows_every_command_without_loading_one() -> None:
    code = "import sys; from services.admin.main import main\ntry: main()\nfinally: print(*sys.modules, sep=chr(10))"
    ran = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    shown, _, loaded = ran.stdout.partition("Exit codes")
    assert {line.split()[1] for line in shown.splitlines() if line.startswith("│")} >= set(LISTED)
    assert not {f"services.admin.{each.module}" for each in LISTED.values()} & set(loaded.split())


def test_a_misspelt_command_is_guessed_and_an_unknown_one_named(command: CommandLine) -> None:
    assert "No such command 'novelti'. Did you mean 'novelty'?" in command("novelti").err
    assert "No such command 'xyzzy'." in command("xyzzy").err
