"""A lineage as a graph in Graphviz's language (https://graphviz.org/doc/info/lang.html)."""

from textwrap import wrap

from services.admin.console import printable
from services.record_summary import summary, why_retracted
from shared.store.lineage import Lineage, Node

LINE = 40  # characters
LINES = 4
SHAPES = {"generation": "ellipse", "verdict": "diamond", "model": "component", "server": "component"}


def lineage_dot(lineage: Lineage) -> str:
    """The record at the left, what it came from to its right."""
    nodes = [f"  {_quoted(str(node.id))} [{_look(node, lineage)}];" for node in lineage.nodes.values()]
    edges = [
        f"  {_quoted(str(edge.child))} -> {_quoted(str(edge.parent))} [label={_quoted(_in_words(edge.relation))}];"
        for edge in lineage.edges
    ]
    opening = ["digraph lineage {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    return "\n".join([*opening, *nodes, *edges, "}"])


def _look(node: Node, lineage: Lineage) -> str:
    label = "\n".join([_in_words(node.kind), *wrap(printable(summary(node)), LINE, max_lines=LINES, placeholder="…")])
    shape = f", shape={SHAPES[node.kind]}" if node.kind in SHAPES else ""
    retracted = f", color=red, tooltip={_quoted(printable(why_retracted(node)))}" if node.retracted else ""
    return f"label={_quoted(label)}{shape}{retracted}{', penwidth=3' if node.id == lineage.root else ''}"


def _in_words(name: str) -> str:
    return name.replace("_", " ")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
