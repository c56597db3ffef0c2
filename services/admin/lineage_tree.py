"""A lineage as a tree in the terminal."""

from collections.abc import Iterable

from rich.text import Text
from rich.tree import Tree

from services.admin.console import printable
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
            if parent.kind not in ("model", "prompt_template", "server"):
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
    return Text.assemble(("shown ", "dim"), f"{len(seeds)} seed task(s): {', '.join(names)}{more}")


def _label(node: Node) -> Text:
    return Text.assemble((node.kind.replace("_", " "), "bold"), f" {str(node.id)[:8]}  ", printable(_summary(node)))


def _summary(node: Node) -> str:
    values = node.attributes
    match node.kind:
        case "example":
            return f"{_short(values['instruction'])} → {_short(values['output'])}"
        case "verdict":
            scores = ", ".join(
                f"{row[column]:.2f}"
                for index, row in enumerate(values["scores"])
                for column in range(index + 1, len(row))
            )
            how = "exact match" if values["exact_match"] else values["reason"] or "most alike the others"
            which = f"judgement {values['judgement']}, " if values["judgement"] else ""
            return f"{which}{values['rule']}: {how}; Rouge-L of the pairs: {scores or 'none'}"
        case "candidate":
            return f"{values['voice']}: {_short(values['output'] or values['reason'])}"
        case "instance":
            return f"input: {_short(values['input'])}" if values["input"] else values["reason"] or "no input"
        case "instruction":
            return _short(values["text"])
        case "generation":
            tokens = f"{values['prompt_tokens'] or '?'} → {values['completion_tokens'] or '?'} tokens"
            again = f", attempt {values['attempt'] + 1}" if values["attempt"] else ""
            return f"{values['stage']}{again}, {tokens}, {values['latency_s']:.1f} s"
        case "model":
            return f"{values['name']} ({values['served_model'] or values['protocol']})"
        case "server":
            told = [
                values["served_model"],
                values["model_revision"] and f"revision {values['model_revision'][:12]}",
                values["server_version"] and f"server {values['server_version']}",
            ]
            return ", ".join([values["endpoint"], *filter(None, told)])
        case "prompt_template":
            return f"{values['name']} v{values['version']}, sha256 {values['sha256'][:12]}"
        case _:
            return f"{values['source_id']}: {_short(values['instruction'])}"


def _short(text: str, most: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
