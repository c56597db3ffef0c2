"""The commands by name. A command's module is imported when it is called: all of them together take a second or two."""

import sys
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


class Listed(NamedTuple):
    """A command as the list of all shows it: the first line of its own help, and the module that has it."""

    module: str
    help: str


PANELS: dict[str, dict[str, Listed]] = {
    "Begin": {
        "demo": Listed(
            "demo", "Make twenty examples on this machine, with two real language models and everything it takes."
        ),
        "init": Listed("jobs", "Write a job file to edit."),
        "validate-seeds": Listed("seeds", "Check a seed file; names the line and field of each fault."),
        "validate": Listed(
            "jobs", "Check a job without running it: its fields, seeds, templates, and that its models answer."
        ),
        "plan": Listed(
            "capacity",
            "Tell what a job needs before it runs: calls, time, workers, servers, GPU hours, room in Postgres.",
        ),
        "enqueue": Listed("jobs", "Start a run of a job and print its id."),
        "import": Listed(
            "importing",
            "Bring in instructions or complete examples that were made elsewhere, as a run that is complete.",
        ),
    },
    "Runs": {
        "runs": Listed("runs", "List all runs, the newest first."),
        "status": Listed("runs", "Show how far a run is, and what stands in its way."),
        "watch": Listed("runs", "Follow a run until it ends."),
        "pause": Listed("steering", "Have a run wait. Calls under way are answered and kept; no further one is made."),
        "resume": Listed("steering", "Have a run go on that is paused, has spent its budget, or has failed."),
        "cancel": Listed("steering", "Stop a run; what it made is kept."),
        "add-output": Listed("adding", "Have one more model answer every instance of a run, and judge anew."),
        "dead": Listed("dead", "List the work of a run that was given up, and why."),
        "retry-dead": Listed("dead", "Put back what a run has given up, so that it is tried anew."),
        "audit": Listed(
            "auditing",
            "Check that a run lost nothing, doubled nothing, and met its targets exactly; it may be going on.",
        ),
    },
    "Selection": {
        "agreement": Listed(
            "agreement",
            "Show who wins the consensus, how long the outputs are and who agrees with whom; warn of look-alikes.",
        ),
        "rejudge": Listed(
            "rejudging",
            "Decide a finished run anew from what is stored, as a further judgement; the first stays as it is.",
        ),
        "novelty": Listed("novelty", "Decide which instructions are novel, with no services."),
        "consensus": Listed("consensus", "Choose among the outputs of several LMs, with no services."),
    },
    "Lineage": {
        "lineage": Listed("lineage", "Show where a record came from, down to models, prompt templates and seed tasks."),
        "impact": Listed("impact", "List and count every example that came from something, by how long the way is."),
        "explorer": Listed(
            "explorer",
            "Show runs, examples and where they came from as web pages. It needs a login that may read `lineage`, "
            "no more.",
        ),
        "replay": Listed(
            "replay",
            "Send a stored LM call again, with its prompt, parameters and seed, and show what differs. Nothing is "
            "written.",
        ),
        "retract": Listed(
            "retracting",
            "Retract something with all that came of it: exports leave it out, and no later prompt shows it.",
        ),
        "unretract": Listed("retracting", "Undo a retraction; what another one marks as well stays retracted."),
        "retractions": Listed("retracting", "List what was retracted: by whom, why, and how much."),
    },
    "Datasets": {
        "export": Listed(
            "exporting", "Write the examples of one run or several as a dataset, and print the paths of its files."
        ),
        "exports": Listed("exports", "List all exports, the newest first."),
        "diff": Listed("exports", "Say which examples went, came and changed from one export to another, and why."),
        "push": Listed("pushing", "Send an export to a dataset repository of the hub, and print its address."),
    },
    "Installation": {
        "local": Listed("local", "The embedded stack: everything on this machine, in the background."),
        "db": Listed("data", "The database's tables."),
        "k8s": Listed(
            "kubernetes",
            "Write the Kustomize overlay that serves a job's models and scales its workers, and print its folder.",
        ),
        "bench": Listed("bench", "Measure what the system does on this machine."),
    },
}
LISTED = {name: listed for panel in PANELS.values() for name, listed in panel.items()}


def load(name: str) -> Any:
    """A command itself."""
    module = import_module(f"services.admin.{LISTED[name].module}")
    if "structlog" in sys.modules:  # it takes a tenth of a second, and not all commands have something to log
        _log_to_stderr()
    of_module = typer.Typer()
    module.register(of_module)
    return get_group(of_module).commands[name]


def _log_to_stderr() -> None:
    """Stdout is for results."""
    import structlog

    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


class Commands(TyperGroup):
    """The group of all commands, each known by its line until it is called."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for panel, commands in PANELS.items():
            for name, listed in commands.items():
                self.add_command(TyperCommand(name, help=listed.help, rich_help_panel=panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the arguments name, imported."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, load(name) if name else found, rest
