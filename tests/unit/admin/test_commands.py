"""The table of commands, which are imported one by one."""

from importlib import import_module

import pytest
import typer
from typer.main import get_group

from services.admin.commands import MODULES
from tests.integration.admin.command_line import CommandLine


@pytest.mark.parametrize("module", sorted(set(MODULES.values())))
def test_the_table_names_every_command_of_a_module(module: str) -> None:
    of_module = typer.Typer()
    import_module(f"services.admin.{module}").register(of_module)
    listed = [name for name, its_module in MODULES.items() if its_module == module]
    assert list(get_group(of_module).commands) == listed


def test_a_misspelt_command_is_guessed_and_an_unknown_one_named(command: CommandLine) -> None:
    assert "No such command 'novelti'. Did you mean 'novelty'?" in command("novelti").err
    assert "No such command 'xyzzy'." in command("xyzzy").err
