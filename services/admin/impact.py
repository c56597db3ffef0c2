"""The command that asks which examples came from something."""

from collections import Counter
from typing import Annotated

import typer

from services.admin.connections import open_session
from services.admin.console import out, print_json, printable, say, table
from services.admin.jobs import AsJson
from shared.errors import UserError
from shared.store.impact import AffectedExample, RootKind, examples_from, find_origins, find_roots

SHOWN = 20
LONGEST = 70  # characters of an instruction in the table


class OneRootError(UserError):
    """Name one thing to trace: --seed, --model, --prompt, --instruction or --origin."""


def impact(
    seed: Annotated[str | None, typer.Option("--seed", metavar="ID", help="a seed task, by its id in its file")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help="a model, in whatever run")] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="NAME", help="a prompt template: its name, NAME@VERSION or sha256")
    ] = None,
    instruction: Annotated[str | None, typer.Option("--instruction", metavar="ID", help="an instruction")] = None,
    origin: Annotated[
        str | None,
        typer.Option("--origin", metavar="FILE", help="an imported file: its name or sha256; or a record's id"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List and count every example that came from something, by how long the way is."""
    given = {
        RootKind.SEED: seed,
        RootKind.MODEL: model,
        RootKind.PROMPT: prompt,
        RootKind.INSTRUCTION: instruction,
        RootKind.ORIGIN: origin,
    }
    named = [(kind, name) for kind, name in given.items() if name is not None]
    if len(named) != 1:
        raise OneRootError
    ((kind, name),) = named
    with open_session() as session:
        roots = find_origins(session, name) if kind is RootKind.ORIGIN else find_roots(session, kind, name)
        found = examples_from(session, roots)
    if as_json:
        print_json(found)
        return
    say(f"{len(found)} examples came from {kind.replace('_', ' ')} {name}")
    if found:
        _show(found)


def _show(found: list[AffectedExample]) -> None:
    counts = table("run", "judgement", "", numbers=("distance", "examples"))
    by_way = Counter((each.run, each.judgement, each.distance, each.surplus) for each in found)
    for (run, judgement, distance, surplus), count in sorted(by_way.items()):
        counts.add_row(run, str(judgement), "surplus" if surplus else "", str(distance), str(count))
    out.print(counts)
    listing = table("example", "run", "distance", "instruction")
    for each in found[:SHOWN]:
        line = " ".join(printable(each.instruction).split())
        short = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
        listing.add_row(str(each.id), each.run, str(each.distance), short)
    out.print()
    out.print(listing)
    if len(found) > SHOWN:
        say(f"and {len(found) - SHOWN} more: --json lists them all")


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(impact)
