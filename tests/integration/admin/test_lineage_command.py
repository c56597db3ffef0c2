import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psycopg
import pytest
from prov.model import ProvActivity, ProvAgent, ProvDocument, ProvEntity, ProvRelation

from shared.store.lineage import KINDS
from tests.integration.admin.command_line import CommandLine
from tests.integration.admin.conftest import Finished

MADE = {kind: table for kind, table in KINDS.items() if kind not in ("origin", "origin_file")}  # nothing was imported
SVG = "{http://www.w3.org/2000/svg}"


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
    assert drawn(later_command("lineage", id, "--svg", "-").out)[1][id].attrib["data-kind"] == kind


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


@pytest.mark.parametrize("forms", [("--dot", "--prov"), ("--json", "--svg", "a.svg")])
def test_one_form_at_a_time(later_command: CommandLine, forms: tuple[str, ...]) -> None:
    assert "Ask for one form" in later_command.refused(2, "lineage", "abcdef", *forms)


def drawn(svg: str) -> tuple[ElementTree.Element, dict[str, ElementTree.Element], list[tuple[str, str, str]]]:
    """A picture's root, its boxes by their ids, and its edges."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    edges = [each.attrib for each in root.iter(f"{SVG}path") if each.get("class") == "edge"]
    boxes = {each.attrib["data-id"]: each for each in root.iter(f"{SVG}g") if each.get("class") == "node"}
    return root, boxes, [(each["data-child"], each["data-relation"], each["data-parent"]) for each in edges]


def place(box: ElementTree.Element) -> tuple[float, ...]:
    """Left, top, right and bottom of a box."""
    (rect,) = [each for each in box.iter(f"{SVG}rect") if each.get("class") == "box"]
    x, y, width, height = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


@pytest.mark.parametrize("options", [(), ("--full",)])
def test_the_picture_is_whole_and_nothing_in_it_overlaps(
    later_command: CommandLine, finished: Finished, options: tuple[str, ...]
) -> None:
    root, boxes, edges = drawn(later_command("lineage", an_id(finished, "examples"), "--svg", "-", *options).out)
    assert {end for child, _, parent in edges for end in (child, parent)} == boxes.keys()
    places = {id: place(box) for id, box in boxes.items()}
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for one, other in combinations(places.values(), 2):
        assert one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
    assert all(x >= 0 and y >= 0 and right < width and bottom < height for x, y, right, bottom in places.values())
    assert all(places[child][2] < places[parent][0] for child, _, parent in edges)


def test_the_full_picture_has_every_record_and_every_edge(later_command: CommandLine, finished: Finished) -> None:
    id = an_id(finished, "examples")
    told = json.loads(later_command("lineage", id, "--json").out)
    _, boxes, edges = drawn(later_command("lineage", id, "--svg", "-", "--full").out)
    assert boxes.keys() == {node["id"] for node in told["nodes"]}
    assert sorted(edges) == sorted((each["child_id"], each["relation"], each["parent_id"]) for each in told["edges"])


def with_most_ancestors(finished: Finished) -> str:
    """The id of the example that came from most."""
    query = """
        SELECT e.id FROM examples e CROSS JOIN LATERAL lineage.ancestors('example', e.id) GROUP BY 1
        ORDER BY count(*) DESC, 1 LIMIT 1
    """
    with psycopg.connect(finished.database_url) as connection:
        found: Any = connection.execute(query).fetchone()
    return str(found[0])


def test_demonstrations_are_one_box_a_call_that_counts_them(later_command: CommandLine, finished: Finished) -> None:
    id = with_most_ancestors(finished)
    told = json.loads(later_command("lineage", id, "--json").out)
    root, boxes, edges = drawn(later_command("lineage", id, "--svg", "-").out)
    kinds = {node["id"]: node["kind"] for node in told["nodes"]}
    folded = {name: box for name, box in boxes.items() if box.attrib["data-kind"] == "demonstrations"}
    assert {kinds[name] for name in boxes.keys() - folded.keys()} == MADE.keys() - {"seed_task"}
    calls = {child: parent for child, relation, parent in edges if relation == "shown"}
    shown = [(e["child_id"], e["parent_id"]) for e in told["edges"] if e["relation"] == "shown"]
    for call, box in calls.items():
        text = " ".join(folded[box].itertext())
        counts = Counter(kinds[parent] for child, parent in shown if child == call)
        assert all(f"{count} {kind.replace('_', ' ')}(s)" in text for kind, count in counts.items())
    assert set(calls.values()) == folded.keys()
    told_of = {parent for child, parent in shown if child in calls}
    left_out = len(kinds.keys() - boxes.keys() - told_of)
    assert ("are left out (--full)" in "".join(root.itertext())) is (left_out > 0)


def test_the_picture_is_told_in_words(later_command: CommandLine, finished: Finished) -> None:
    id = an_id(finished, "examples")
    root, _, _ = drawn(later_command("lineage", id, "--svg", "-").out)
    title, description = root[0], root[1]
    assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
    assert title.text == f"Where example {id[:8]} came from"
    assert f"example {id}: " in str(description.text)
    assert "verdict: 1, " in str(description.text)


def test_a_file_gets_the_same_picture_every_time(
    later_command: CommandLine, finished: Finished, tmp_path: Path
) -> None:
    id = an_id(finished, "examples")
    outcome = later_command("lineage", id, "--svg", "a.svg")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "wrote a.svg\n")
    assert (tmp_path / "a.svg").read_text() == later_command("lineage", id, "--svg", "-").out


def test_whatever_a_text_holds_is_text(changing_command: CommandLine, changeable: Finished) -> None:
    id = an_id(changeable, "examples")
    hostile = '</text><script>alert("1")</script>&amp;\x1b[2J 語語語'
    with psycopg.connect(changeable.database_url) as connection:
        connection.execute("UPDATE examples SET instruction = %s WHERE id = %s", [hostile, id])
    root, boxes, _ = drawn(changing_command("lineage", id, "--svg", "-").out)
    assert not list(root.iter(f"{SVG}script"))
    shown = "".join(boxes[id].itertext())
    assert '</text><script>alert("1")</script>&amp;\N{REPLACEMENT CHARACTER}[2J 語語語' in shown


def test_a_picture_that_can_not_be_written(later_command: CommandLine, finished: Finished) -> None:
    told = later_command.refused(1, "lineage", an_id(finished, "examples"), "--svg", "nowhere/a.svg")
    assert "nowhere/a.svg can't be written: No such file or directory" in told


def test_full_is_of_pictures(later_command: CommandLine) -> None:
    assert "--full is about the picture" in later_command.refused(2, "lineage", "abcdef", "--full")
