"""`ensemble-instruct bench`: what the system does on this machine, measured."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from services.admin.console import out, print_json, say, table
from services.admin.options import AsJson
from services.admin.pipeline_figures import Figures, measure
from services.admin.pipeline_parts import QUEUES, Load
from services.local.cpu_time import usable_cpus
from services.local.worker_pools import WorkerPool

THREADS = 4
WORKERS = max(1, min(8, usable_cpus() // 2))  # Postgres, the broker and the fake LM need as much as they do
SLOTS = 64
LOADS = (Load(SLOTS, 0.0), Load(SLOTS, 1.0), Load(256, 1.0), Load(SLOTS, 0.1))

app = typer.Typer(help="Measure what the system does on this machine.", no_args_is_help=True)


@app.command()
def pipeline(
    workers: Annotated[int, typer.Option(min=1, help="worker processes, each on all queues")] = WORKERS,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="how long to measure each scenario")] = 15.0,
    slots: Annotated[
        int | None, typer.Option(min=1, max=4096, help="calls at once, for one scenario of your own")
    ] = None,
    latency: Annotated[
        float | None,
        typer.Option(min=0, max=60, metavar="SECONDS", help="the LM's latency in it, which varies by 30 %"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure LM calls a second through the whole pipeline, and what they cost.

    Starts a Postgres, a Valkey, workers and a fake LM of its own, and leaves
    nothing behind; uses no DATABASE_URL and no REDIS_URL.
    """
    loads = LOADS if slots is None and latency is None else (Load(slots or SLOTS, latency or 0.0),)
    pools = [WorkerPool(f"bench-{number}", QUEUES, THREADS) for number in range(1, workers + 1)]
    figures = [measure(load, pools, seconds, detailed=load is loads[0], report=say) for load in loads]
    if as_json:
        print_json(_json(figures, workers))
        return
    out.print(_scenarios(figures, workers))
    out.print(_profile(figures[0]))
    out.print(_tables(figures[0]))


def _json(figures: Sequence[Figures], workers: int) -> dict[str, Any]:
    first = figures[0]
    return {
        "workers": workers,
        "cpus": usable_cpus(),
        "scenarios": [
            {
                "scenario": each.load.name,
                "slots": each.load.slots,
                "latency_s": each.load.latency_s,
                "seconds": each.seconds,
                "calls": each.calls,
                "calls_per_s": each.calls_per_s,
                "busy": each.busy,
                "cpu_ms_per_call": {
                    "workers": each.workers_ms,
                    "postgres": each.postgres_ms,
                    "fake": each.fake_ms,
                },
                "examples_per_s": each.examples_per_s,
            }
            for each in figures
        ],
        "workers_cpu_s": first.profile,
        "examples": first.all_examples,
        "tables": first.tables,
    }


def _scenarios(figures: Sequence[Figures], workers: int) -> Table:
    numbers = ("calls/s", "busy slots", "workers ms/call", "Postgres", "fake LM", "examples/s")
    listing = _titled(f"{workers} worker{'s' * (workers > 1)}, {usable_cpus()} CPUs", "scenario", *numbers)
    for each in figures:
        busy = "" if each.busy is None else f"{each.busy:.1%}"
        cpu = (each.workers_ms, each.postgres_ms, each.fake_ms)
        rates = (f"{each.calls_per_s:,.0f}", busy, *(f"{ms:.2f}" for ms in cpu), f"{each.examples_per_s:,.0f}")
        listing.add_row(each.load.name, *rates)
    return listing


def _profile(first: Figures) -> Table:
    listing = _titled(f"where the workers' CPU goes: {first.load.name}", "part", "share", "ms/call")
    whole = sum(first.profile.values()) or 1.0
    for part, spent_s in sorted(first.profile.items(), key=lambda each: -each[1]):
        listing.add_row(part, f"{spent_s / whole:.0%}", f"{spent_s / whole * first.workers_ms:.3f}")
    return listing


def _tables(first: Figures) -> Table:
    title = f"what {first.all_examples:,} examples take in Postgres: {first.load.name}"
    listing = _titled(title, "table", "rows per example", "bytes per example")
    most = max(first.all_examples, 1)
    for each in first.tables:
        if each.rows * 100 >= most:  # the others do not grow with the examples
            listing.add_row(each.name, f"{each.rows / most:.2f}", f"{each.bytes / most:,.0f}")
    listing.add_row("all", "", f"{sum(each.bytes for each in first.tables) / most:,.0f}")
    return listing


def _titled(title: str, column: str, *numbers: str) -> Table:
    listing = table(column, numbers=numbers)
    listing.title, listing.title_justify = f"\n{title}", "left"
    return listing


def register(commands: typer.Typer) -> None:
    """Add these commands."""
    commands.add_typer(app, name="bench")
