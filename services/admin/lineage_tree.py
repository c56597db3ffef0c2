"""A lineage as a tree in the terminal."""

from collections.abc import Iterable

from rich.text import Text
from rich.tree import Tree

from services.admin.console import printable
from services.record_summary import summary, why_retracted
from shared.store.lineage import Lineage, Node

SHOWN_SEEDS = 6


def lineage_tree(lineage: Lineage) -> Tree:
    """The record at the root, what it came from below; what stands in the tree already is not repeated."""
    root = lineage.nodes[lineage.root]
    tree = Tree(_label(root))
    _grow(tree, lineage, root, {root.id})
    return tree


def _grow(tree: Tree, lineage: Lineage, node: Node, seen: set[object]) -> None:
    seeds: list[Node] = []
    for relation, parent in _parents(lineage, node):
        if parent.kind == "seed_task":
            seeds.append(parent)
            continue
        label = Text.assemble((f"{relation.replace('_', ' ')} ", "dim"), _label(parent))
        if parent.kind == "candidate" and node.kind == "verdict" and parent.id == node.attributes["choice_id"]:
            label.append("  ← chosen", style="green")
        if parent.id in seen:
            if parent.kind not in ("model", "prompt_template", "server", "origin_file"):
                label.append("  (above)", style="dim")
            tree.add(label)
            continue
        seen.add(parent.id)
        _grow(tree.add(label), lineage, parent, seen)
    if seeds:
        tree.add(_seeds(seeds))


def _parents(lineage: Lineage, node: Node) -> Iterable[tuple[str, Node]]:
    """An example's verdict first, so that the tree reads in the order in which things were decided."""
    edges = [edge for edge in lineage.edges if edge.child == node.id]
    order = ("decided_by", "output_from", "made_from", "compared", "carries_out", "answers", "written_by")
    ranks = {relation: rank for rank, relation in enumerate(order)}
    for edge in sorted(edges, key=lambda edge: ranks.get(edge.relation, len(order))):
        yield edge.relation, lineage.nodes[edge.parent]


def _seeds(seeds: list[Node]) -> Text:
    names = [printable(seed.attributes["source_id"]) for seed in seeds[:SHOWN_SEEDS]]
    more = f" and {len(seeds) - SHOWN_SEEDS} more" if len(seeds) > SHOWN_SEEDS else ""
    told = Text.assemble(("shown ", "dim"), f"{len(seeds)} seed task(s): {', '.join(names)}{more}")
    for seed in (seed for seed in seeds if seed.retracted):
        told.append(f"  {printable(seed.attributes['source_id'])} is {printable(why_retracted(seed))}", style="red")
    return told


def _label(node: Node) -> Text:
    label = Text.assemble((node.kind.replace("_", " "), "bold"), f" {str(node.id)[:8]}  ")
    if node.retracted:
        label.append(f"{printable(why_retracted(node))}  ", style="red")
    return label.append(printable(summary(node)))
