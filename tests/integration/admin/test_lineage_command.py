import json
from typing import Any

import psycopg
import pytest
from prov.model import ProvActivity, ProvAgent, ProvDocument, ProvEntity, ProvRelation

from shared.store.lineage import KINDS
from tests.integration.admin.command_line import CommandLine
from tests.integration.admin.conftest import Finished

MADE = {kind: table for kind, table in KINDS.items() if kind not in ("origin", "origin_file")}  # nothing was imported


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
    assert {node["kind"] for node in told["nodes"]} == set(MADE)
    assert {edge[end] for edge in told["edges"] for end in ("child_id", "parent_id")} <= nodes


def test_the_tree_says_what_was_chosen_and_from_what(later_command: CommandLine, finished: Finished) -> None:
    tree = later_command("lineage", an_id(finished, "examples")[:8]).out
    assert tree.startswith("example ")
    assert tree.count("← chosen") == 1
    assert "asked model " in tree
    assert "shown 3 seed task(s): seed_task_" in tree


@pytest.mark.parametrize(("kind", "table"), MADE.items())
def test_every_kind_of_record_has_a_lineage(
    later_command: CommandLine, finished: Finished, kind: str, table: str
) -> None:
    id = an_id(finished, table)
    assert later_command("lineage", id).out.startswith(f"{kind.replace('_', ' ')} {id[:8]}  ")
    assert json.loads(later_command("lineage", id, "--json").out)["kind"] == kind


@pytest.mark.parametrize("id", ["ffffffff-0000-0000-0000-000000000000", "abc", "", "no-id", "²²²²²²"])
def test_a_record_that_is_not_there(later_command: CommandLine, id: str) -> None:
    assert "There is no record" in later_command.refused(2, "lineage", id)


def test_the_graph_for_graphviz_has_every_record_and_every_edge(later_command: CommandLine, finished: Finished) -> None:
    id = an_id(finished, "examples")
    told = json.loads(later_command("lineage", id, "--json").out)
    lines = later_command("lineage", id, "--dot").out.splitlines()
    assert (lines[0], lines[-1]) == ("digraph lineage {", "}")
    drawn = [line for line in lines if "[label=" in line]
    edges = {tuple(line.split('"')[1:4:2]) for line in drawn if " -> " in line}
    assert edges == {(edge["child_id"], edge["parent_id"]) for edge in told["edges"]}
    assert {line.split('"')[1] for line in drawn if " -> " not in line} == {node["id"] for node in told["nodes"]}
    assert sum("penwidth" in line for line in drawn) == 1


def test_prov_is_read_by_the_provs_own_library_with_every_record_and_every_edge(
    later_command: CommandLine, finished: Finished
) -> None:
    id = an_id(finished, "examples")
    told = json.loads(later_command("lineage", id, "--json").out)
    document = ProvDocument.deserialize(content=later_command("lineage", id, "--prov").out, format="json")
    named = {record.identifier.localpart: type(record) for record in document.get_records() if record.identifier}
    kinds = {"generation": ProvActivity, "verdict": ProvActivity, "model": ProvAgent, "server": ProvAgent}
    assert named == {f"{node['kind']}.{node['id']}": kinds.get(node["kind"], ProvEntity) for node in told["nodes"]}
    relations = {
        tuple(value.localpart for _, value in record.formal_attributes[:2])
        for record in document.get_records(ProvRelation)
    }
    assert relations == {
        (f"{edge['child_kind']}.{edge['child_id']}", f"{edge['parent_kind']}.{edge['parent_id']}")
        for edge in told["edges"]
    }


def test_one_form_at_a_time(later_command: CommandLine) -> None:
    assert "Ask for one form" in later_command.refused(2, "lineage", "abcdef", "--dot", "--prov")
