"""The command about seed files."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from services.admin.console import answer, print_json
from services.admin.options import AsJson
from shared.dataset.seed_files import SHIPPED_SEEDS, check_seeds, load_seeds
from shared.errors import UserError


class SeedFaultsError(UserError):
    """{path} has {count} fault(s); a run would not take it."""


def validate_seeds(
    path: Annotated[
        Path,
        typer.Argument(metavar="[FILE]", help="a seed file, one task a line", show_default="the seeds that come along"),
    ] = SHIPPED_SEEDS,
    as_json: AsJson = False,
) -> None:
    """Check a seed file; names the line and field of each fault."""
    faults = check_seeds(path)
    if as_json:
        print_json([{"line": fault.line, "field": fault.field, "message": fault.message} for fault in faults])
    else:
        for fault in faults:
            answer(f"{path}:{fault.line}: {fault.field or 'record'}: {fault.message}")
    if faults:
        raise SeedFaultsError(path=path, count=len(faults))
    if not as_json:
        kinds = Counter(seed.task_type for seed in load_seeds(path))
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        answer(f"{path} is a good seed file: {kinds.total()} tasks ({counts})")


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("validate-seeds")(validate_seeds)
