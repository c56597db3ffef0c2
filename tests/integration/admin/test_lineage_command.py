import json
from typing import Any

import psycopg
import pytest

from shared.store.lineage import KINDS
from tests.integration.admin.command_line import CommandLine
from tests.integration.admin.conftest import Finished


def an_id(finished: Finished, table: str) -> str:
    """The first id of a table."""
    with psycopg.connect(finished.database_url) as connection:
        found: Any = connection.execute(f"SELECT id FROM {table} ORDER BY id LIMIT 1").fetchone()  # noqa: S608 - our names
    return str(found[0])


def test_an_example_is_traced_to_seeds_models_and_templates(later_command: CommandLine, finished: Finished) -> None:
    id = an_id(finished, "examples")
    told = json.loads(later_command("lineage", id, "--json").out)
    assert (told["kind"], told["id"]) == ("example", id)
    nodes = {node["id"] for node in told["nodes"]}
    assert {node["kind"] for node in told["nodes"]} == set(KINDS)
    assert {edge[end] for edge in told["edges"] for end in ("child_id", "parent_id")} <= nodes


def test_the_tree_says_what_was_chosen_and_from_what(later_command: CommandLine, finished: Finished) -> None:
    tree = later_command("lineage", an_id(finished, "examples")[:8]).out
    assert tree.startswith("example ")
    assert tree.count("← chosen") == 1
    assert "asked model " in tree
    assert "shown 3 seed task(s): seed_task_" in tree


@pytest.mark.parametrize(("kind", "table"), KINDS.items())
def test_every_kind_of_record_has_a_lineage(
    later_command: CommandLine, finished: Finished, kind: str, table: str
) -> None:
    id = an_id(finished, table)
    assert later_command("lineage", id).out.startswith(f"{kind.replace('_', ' ')} {id[:8]}  ")
    assert json.loads(later_command("lineage", id, "--json").out)["kind"] == kind


@pytest.mark.parametrize("id", ["ffffffff-0000-0000-0000-000000000000", "abc", "", "no-id", "²²²²²²"])
def test_a_record_that_is_not_there(later_command: CommandLine, id: str) -> None:
    assert "There is no record" in later_command.refused(2, "lineage", id)
