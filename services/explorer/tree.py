"""A lineage as a tree: what a record came from below it, each record once, demonstrations in a group."""

import uuid
from collections import defaultdict
from dataclasses import dataclass, field

from shared.store.lineage import Edge, Lineage, Node
from shared.store.views.lineage import SHOWN

ORDER = ("made_from", "decided_by", "output_from", "compared", "carries_out", "answers", "written_by", "imported_from")
REPEATED_FREELY = ("model", "prompt_template", "server", "origin_file")  # a line each, wherever they stand


@dataclass(slots=True)
class Branch:
    """A record with what it came from, and the demonstrations that its prompt showed.

    `above` if what it came from stands further up in the tree.
    """

    relation: str
    node: Node
    chosen: bool = False
    above: bool = False
    branches: list["Branch"] = field(default_factory=list)
    shown: list[Node] = field(default_factory=list)


def tree_of(lineage: Lineage) -> Branch:
    """The tree with the record itself at its root, in the order in which things came about."""
    edges: dict[uuid.UUID, list[Edge]] = defaultdict(list)
    for edge in lineage.edges:
        edges[edge.child].append(edge)
    root = Branch("", lineage.nodes[lineage.root])
    _grow(root, lineage, edges, {lineage.root})
    return root


def _grow(branch: Branch, lineage: Lineage, edges: dict[uuid.UUID, list[Edge]], seen: set[uuid.UUID]) -> None:
    for edge in sorted(edges[branch.node.id], key=_rank):
        parent = lineage.nodes[edge.parent]
        if edge.relation == SHOWN:
            branch.shown.append(parent)
            continue
        chosen = edge.relation == "compared" and parent.id == branch.node.attributes.get("choice_id")
        below = Branch(edge.relation, parent, chosen)
        branch.branches.append(below)
        if parent.id in seen:
            below.above = parent.kind not in REPEATED_FREELY
        else:
            seen.add(parent.id)
            _grow(below, lineage, edges, seen)


def _rank(edge: Edge) -> int:
    return ORDER.index(edge.relation) if edge.relation in ORDER else len(ORDER)
