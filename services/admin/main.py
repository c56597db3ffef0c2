"""`ensemble-instruct`: one command for each thing a person does, one message for each thing that fails."""

import sys

import typer

from services.admin.commands import Commands
from shared.errors import UserError


class UnreadableArgumentError(UserError):
    """{argument}: an argument holds bytes that are not UTF-8"""


app = typer.Typer(
    name="ensemble-instruct",
    cls=Commands,
    help="Instruction-tuning data from several small open language models, with the provenance of every "
    "record in Postgres.",
    epilog="Exit codes: 0 done, 1 something outside failed, 2 the input was wrong. Addresses come from the "
    "environment: DATABASE_URL, REDIS_URL; without them, the embedded stack is used.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _no_options() -> None:
    """Without a command or callback of its own Typer refuses to make a program."""


def main() -> None:
    """Run a command; exit 0 when done, 1 when the world is at fault, 2 when the input is."""
    try:
        _refuse_bytes(sys.argv)
        try:
            app()
        finally:
            sys.stdout.flush()  # or a full disk shows after we have said that all went well
    except Exception as error:
        from services.admin.failures import TELLABLE, tell  # knows SQLAlchemy, which takes a third of a second

        if not isinstance(error, TELLABLE):
            raise
        sys.exit(tell(error))


def _refuse_bytes(arguments: list[str]) -> None:
    """Python hides bytes that are no text in an argument, until Postgres or a terminal chokes on them."""
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            raise UnreadableArgumentError(argument=argument.encode("utf-8", "replace").decode())


if __name__ == "__main__":
    main()
