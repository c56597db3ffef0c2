"""The command that asks where a record came from."""

from pathlib import Path
from typing import Annotated

import typer

from services.admin.connections import open_session
from services.admin.console import answer, out, print_json, say
from services.admin.lineage_dot import lineage_dot
from services.admin.lineage_svg import lineage_svg
from services.admin.lineage_tree import lineage_tree
from services.admin.options import AsJson
from shared.dataset.prov_document import prov_json
from shared.errors import UserError, WorldError
from shared.store.lineage import Lineage, find_record, lineage_of

STDOUT = Path("-")


class OneFormError(UserError):
    """Ask for one form of the lineage: --json, --dot, --svg or --prov."""


class FullOfPictureError(UserError):
    """--full is about the picture: ask for it with --svg FILE."""


class PictureFailedError(WorldError):
    """{path} can't be written: {reason}"""


def lineage(
    id: Annotated[str, typer.Argument(metavar="ID", help="the id of an example or any record, or its beginning")],
    as_json: AsJson = False,
    as_dot: Annotated[
        bool, typer.Option("--dot", help="print a graph for Graphviz, as in: … --dot | dot -Tsvg")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="draw the graph into a file; - writes to stdout")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="draw each demonstration, and what it came from")] = False,
    as_prov: Annotated[bool, typer.Option("--prov", help="print W3C PROV-JSON")] = False,
) -> None:
    """Show where a record came from, down to models, prompt templates and seed tasks."""
    if as_json + as_dot + as_prov + (svg is not None) > 1:
        raise OneFormError
    if full and svg is None:
        raise FullOfPictureError
    with open_session() as session:
        graph = lineage_of(session, *find_record(session, id))
    if as_json:
        print_json(_graph(graph))
    elif as_dot:
        answer(lineage_dot(graph))
    elif svg:
        _draw(graph, svg, full=full)
    elif as_prov:
        answer(prov_json(graph))
    else:
        out.print(lineage_tree(graph))


def _draw(graph: Lineage, path: Path, *, full: bool) -> None:
    picture = lineage_svg(graph, full=full)
    if path == STDOUT:
        out.out(picture, end="", highlight=False)
        return
    try:
        path.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise PictureFailedError(path=path, reason=error.strerror) from error
    say(f"wrote {path}")


def _graph(graph: Lineage) -> dict[str, object]:
    root = graph.nodes[graph.root]
    return {
        "kind": root.kind,
        "id": str(root.id),
        "nodes": [
            {"kind": node.kind, "id": str(node.id), **node.attributes, "retracted": node.retracted}
            for node in graph.nodes.values()
        ],
        "edges": [
            {
                "child_kind": graph.nodes[edge.child].kind,
                "child_id": str(edge.child),
                "relation": edge.relation,
                "parent_kind": graph.nodes[edge.parent].kind,
                "parent_id": str(edge.parent),
            }
            for edge in graph.edges
        ],
    }


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(lineage)
