"""The command that asks which examples came from something."""

from collections import Counter
from collections.abc import Sequence

import typer
from rich.table import Table

from services.admin.connections import open_session
from services.admin.console import err, out, print_json, printable, say, table
from services.admin.options import AsJson
from services.admin.roots import Instruction, Model, Origin, Prompt, Seed, the_one
from shared.errors import UserError
from shared.shortening import shortened
from shared.store.impact import AffectedExample, examples_from
from shared.store.roots import find_roots

SHOWN = 20
LONGEST = 70  # characters of an instruction in the table


class OneRootError(UserError):
    """Name one thing to trace: --seed, --model, --prompt, --instruction or --origin."""


def impact(
    seed: Seed = None,
    model: Model = None,
    prompt: Prompt = None,
    instruction: Instruction = None,
    origin: Origin = None,
    as_json: AsJson = False,
) -> None:
    """List and count every example that came from something, by how long the way is."""
    named = the_one(seed=seed, model=model, prompt=prompt, instruction=instruction, origin=origin)
    if named is None:
        raise OneRootError
    kind, name = named
    with open_session() as session, err.status("tracing") as status:
        found = examples_from(session, find_roots(session, kind, name), lambda step: status.update(f"tracing: {step}"))
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
    out.print()
    out.print(listed_examples(found[:SHOWN]))
    if len(found) > SHOWN:
        say(f"and {len(found) - SHOWN} more: --json lists them all")


def listed_examples(found: Sequence[AffectedExample]) -> Table:
    """One line for each."""
    listing = table("example", "run", "distance", "instruction")
    for each in found:
        instruction = printable(shortened(each.instruction, LONGEST))
        listing.add_row(str(each.id), each.run, str(each.distance), instruction)
    return listing


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(impact)
