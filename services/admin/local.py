"""Commands about the embedded stack: Postgres, Valkey, two LMs and the workers, on this machine."""

import typer

from services.admin.console import answer, out, print_json, say, table, warn
from services.admin.options import AsJson
from services.local import stack
from services.local.home import Home

app = typer.Typer(help="The embedded stack: everything on this machine, in the background.", no_args_is_help=True)


@app.command()
def up() -> None:
    """Start the embedded stack in the background; when it is up, say which parts of it are not."""
    info = stack.up(say)
    answer(f"export DATABASE_URL={info.database_url}\nexport REDIS_URL={info.redis_url}")
    say("the embedded stack is up; without these variables, ensemble-instruct finds it by itself")
    for part in stack.status():
        if part.state is not stack.State.READY:
            warn(f"{part.name}: {part.state}; see ensemble-instruct local status, and the logs in {Home.find().logs}")
    if info.of:
        warn(f"it is the {info.of}'s and ends with it; start one that stays with: ensemble-instruct local up")


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
    if not parts:
        say("the embedded stack is not up; start it with: ensemble-instruct local up")
        return
    listing = table("part", "address", "pid", "state")
    for part in parts:
        listing.add_row(part.name, part.address, str(part.pid), part.state)
    out.print(listing)


def register(commands: typer.Typer) -> None:
    """Add these commands."""
    commands.add_typer(app, name="local")
