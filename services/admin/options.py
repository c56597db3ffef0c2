"""Arguments and options that several commands have. Apart, so that no command loads another for one of them."""

import re
from pathlib import Path
from typing import Annotated

import typer

from shared.job import NAME_PATTERN

JobPath = Annotated[Path, typer.Argument(metavar="JOB", help="the job's YAML file")]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="PATH=VALUE", help="change a setting of the job, e.g. targets.output_only=50"),
]
NoCheck = Annotated[bool, typer.Option("--no-check", help="don't ask the models' servers for a sign of life")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def a_run_name(name: str) -> str:
    """Check an option's value. Raises `typer.BadParameter`."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise typer.BadParameter("write lower-case letters, digits, '-' and '_', at most 63, a letter or digit first")
    return name
