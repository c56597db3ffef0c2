"""Commands about the embedded stack: Postgres, Valkey, two LMs and the workers, on this machine."""

import typer
from rich.table import Table

from services.admin.console import out, print_json, say
from services.admin.jobs import AsJson
from services.local import stack

app = typer.Typer(help="The embedded stack: everything on this machine, in the background.", no_args_is_help=True)


@app.command()
def up() -> None:
    """Start the embedded stack in the background; does nothing when it is up."""
    info = stack.up(say)
    out.print(f"export DATABASE_URL={info.database_url}\nexport REDIS_URL={info.redis_url}", markup=False)
    say("the embedded stack is up; without these variables, ensemble-instruct finds it by itself")


@app.command()
def down() -> None:
    """Stop the embedded stack; its data are kept."""
    say("the embedded stack is down" if stack.down() else "the embedded stack was not up")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show each part of the embedded stack."""
    parts = stack.status()
    if as_json:
        print_json(parts)
        return
    table = Table("part", "address", "pid", "state")
    for part in parts:
        table.add_row(part.name, part.address, str(part.pid or ""), part.state)
    out.print(table)
