"""What a picture shows of an instruction that was written with demonstrations, one of which was written so, too."""

import uuid

from services.admin.lineage_folding import DEMONSTRATIONS, Link, folded, whole
from shared.store.lineage import Edge, Lineage, Node


def an_id(name: str) -> uuid.UUID:
    """The id of the record that a test calls so."""
    return uuid.uuid5(uuid.NAMESPACE_OID, name)


def a_lineage(*edges: tuple[str, str, str]) -> Lineage:
    """From the first edge's child on; a name's letter is its kind: instruction, generation or seed task."""
    names = dict.fromkeys(name for child, _, parent in edges for name in (child, parent))
    attributes: dict[str, object] = {"stage": "instruction", "attempt": 0, "prompt_tokens": 1, "completion_tokens": 1}
    attributes |= {"instruction": "?", "latency_s": 1.0}
    kinds = {"i": "instruction", "g": "generation", "s": "seed_task"}
    nodes = {
        an_id(name): Node(kinds[name[0]], an_id(name), {"source_id": name, "text": name, **attributes})
        for name in names
    }
    found = [Edge(an_id(child), relation, an_id(parent)) for child, relation, parent in edges]
    return Lineage(an_id(edges[0][0]), nodes, found)


CHAIN = a_lineage(
    ("i1", "written_by", "g1"),
    ("g1", "shown", "s1"),
    ("g1", "shown", "s2"),
    ("g1", "shown", "i2"),
    ("i2", "written_by", "g2"),
    ("g2", "shown", "s2"),
    ("g2", "shown", "s3"),
)


def test_a_calls_demonstrations_are_counted_and_what_they_came_from_is_left_out() -> None:
    picture = folded(CHAIN)
    (box,) = [box for box in picture.boxes.values() if box.kind == DEMONSTRATIONS]
    assert box.text == "2 seed task(s), 1 instruction(s): s1, s2, i2"
    assert [box.kind for box in picture.boxes.values()] == ["instruction", "generation", DEMONSTRATIONS]
    assert picture.left_out == 2  # g2 and s3; i2 and s2 were shown


def test_calls_that_were_shown_the_same_share_the_box() -> None:
    picture = folded(
        a_lineage(
            ("i1", "written_by", "g1"),
            ("i1", "written_by", "g2"),
            *((call, "shown", seed) for call in ("g1", "g2") for seed in ("s1", "s2", "s3", "s4")),
        )
    )
    (name,) = [name for name, box in picture.boxes.items() if box.kind == DEMONSTRATIONS]
    assert picture.boxes[name].text == "4 seed task(s): s1, s2, s3 and 1 more"
    assert [link for link in picture.links if link.relation == "shown"] == [
        Link(str(an_id("g1")), "shown", name),
        Link(str(an_id("g2")), "shown", name),
    ]
    assert picture.left_out == 0


def test_a_whole_picture_leaves_nothing_out() -> None:
    picture = whole(CHAIN)
    assert len(picture.boxes) == len(CHAIN.nodes)
    assert len(picture.links) == len(CHAIN.edges)
    assert picture.left_out == 0
