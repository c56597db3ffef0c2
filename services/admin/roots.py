"""How a command is told what to trace: one thing, by what it is and its name."""

from typing import Annotated

import typer

from shared.store.tables.retractions import RootKind

Seed = Annotated[str | None, typer.Option("--seed", metavar="ID", help="a seed task, by its id in its file")]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="a model, in whatever run")]
Prompt = Annotated[
    str | None, typer.Option("--prompt", metavar="NAME", help="a prompt template: its name, NAME@VERSION or sha256")
]
Instruction = Annotated[str | None, typer.Option("--instruction", metavar="ID", help="an instruction")]
Example = Annotated[str | None, typer.Option("--example", metavar="ID", help="an example")]
Origin = Annotated[
    str | None,
    typer.Option("--origin", metavar="FILE", help="an imported file: its name or sha256; or a record's id"),
]


def the_one(
    *,
    seed: str | None = None,
    model: str | None = None,
    prompt: str | None = None,
    instruction: str | None = None,
    example: str | None = None,
    origin: str | None = None,
) -> tuple[RootKind, str] | None:
    """The one thing that was named, with its kind; none if it was not one."""
    given = {
        RootKind.SEED: seed,
        RootKind.MODEL: model,
        RootKind.PROMPT: prompt,
        RootKind.INSTRUCTION: instruction,
        RootKind.EXAMPLE: example,
        RootKind.ORIGIN: origin,
    }
    named = [(kind, name) for kind, name in given.items() if name is not None]
    return named[0] if len(named) == 1 else None
