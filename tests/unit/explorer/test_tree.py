"""The tree of a lineage: each record grows once, what was chosen is marked, demonstrations stand apart."""

import uuid

from services.explorer.tree import Branch, tree_of
from shared.store.lineage import Edge, Lineage, Node

NAMES = ("example", "verdict", "instance", "one", "two", "instruction", "call", "model", "seed")
IDS = {name: uuid.uuid5(uuid.NAMESPACE_OID, name) for name in NAMES}
KINDS = {"one": "candidate", "two": "candidate", "call": "generation", "seed": "seed_task"}
EDGES = [
    ("example", "decided_by", "verdict"),
    ("example", "output_from", "two"),
    ("example", "made_from", "instance"),
    ("verdict", "compared", "one"),
    ("verdict", "compared", "two"),
    ("one", "answers", "instance"),
    ("two", "answers", "instance"),
    ("one", "written_by", "call"),
    ("two", "written_by", "call"),
    ("instance", "carries_out", "instruction"),
    ("instruction", "written_by", "call"),
    ("call", "asked", "model"),
    ("call", "shown", "seed"),
    ("call", "shown", "instruction"),
]


def lineage() -> Lineage:
    """That of an example whose second candidate was chosen."""
    attributes = {"verdict": {"choice_id": IDS["two"]}}
    nodes = {id: Node(KINDS.get(name, name), id, attributes.get(name, {})) for name, id in IDS.items()}
    return Lineage(IDS["example"], nodes, [Edge(IDS[child], how, IDS[parent]) for child, how, parent in EDGES])


def told(branch: Branch) -> list[str]:
    """The branches below, in a line each: a name, `*` if chosen, `^` if told above."""
    names = {id: name for name, id in IDS.items()}
    return [f"{names[each.node.id]}{'*' * each.chosen}{'^' * each.above}" for each in branch.branches]


def test_a_record_grows_where_it_is_first_told() -> None:
    tree = tree_of(lineage())
    instance, verdict, _ = tree.branches
    assert told(tree) == ["instance", "verdict", "two^"]
    assert told(instance) == ["instruction"]
    assert told(verdict) == ["one", "two*"]
    assert told(verdict.branches[1]) == ["instance^", "call^"]


def test_demonstrations_stand_apart_and_lead_no_further() -> None:
    (instance, *_) = tree_of(lineage()).branches
    (call,) = instance.branches[0].branches
    assert [node.kind for node in call.shown] == ["seed_task", "instruction"]
    assert told(call) == ["model"]
