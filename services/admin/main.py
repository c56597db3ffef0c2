"""`ensemble-instruct`: one command for each thing a person does, one message for each thing that fails."""

import os
import sys

import typer
from sqlalchemy.exc import DBAPIError

from services.admin import data, jobs, local, runs
from services.admin.console import say
from services.admin.demo import demo
from shared.errors import EnsembleInstructError

app = typer.Typer(
    name="ensemble-instruct",
    help="Instruction-tuning data from several small open language models, with the provenance of every "
    "record in Postgres.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.add_typer(local.app, name="local")
app.add_typer(data.database, name="db")
for module in (jobs, runs, data):
    module.register(app)


def main() -> None:
    """Run a command; exit 0 when done, 1 when the world is at fault, 2 when the input is."""
    try:
        app()
    except EnsembleInstructError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)
    except DBAPIError as error:
        detail = " ".join(str(error.orig).split())[:300]
        say(f"error: Postgres refused: {detail}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("stopped")
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
