"""How a plan looks in a terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.admin.console import printable, table
from shared.capacity.duration import duration
from shared.capacity.needs import QueueNeeds, ServerNeeds, TableNeeds
from shared.capacity.plan import DeadlinePlan, JobPlan

UNITS = ("B", "kB", "MB", "GB", "TB")


def plan_view(plan: JobPlan) -> RenderableType:
    """The whole of it."""
    parts: list[RenderableType] = [
        _head(plan),
        _queues(plan.queues),
        _servers(plan.servers),
        _cost(plan.gpu_hours, plan.price),
        _tables(plan.tables),
        _bottleneck(plan),
    ]
    return Group(*parts, *(_deadline(plan.deadline) if plan.deadline else ()))


def _head(plan: JobPlan) -> Text:
    targets = " and ".join(f"{target:,} {kind}" for kind, target in plan.targets.items())
    tokens = plan.calls.prompt_tokens, plan.calls.completion_tokens
    read, written = (_short(each or 0) for each in tokens)
    told = f", {read} tokens read and {written} written" if any(tokens) else ""
    return Text.assemble(
        (printable(plan.job), "bold"),
        f": {targets} examples, with the figures of {printable(plan.source)}\n",
        (f"{duration(plan.seconds)}", "bold"),
        f", nine times of ten {duration(plan.low_s)} to {duration(plan.high_s)}; {plan.calls.calls:,} calls{told}",
    )


def _queues(queues: Sequence[QueueNeeds]) -> Table:
    listing = _titled(
        "pools of workers", "queue", "model", numbers=("calls", "tokens read", "written", "workers", "CPU")
    )
    for each in queues:
        done = f"{each.calls:,}" if each.calls else f"{each.verdicts:,} verdicts" if each.verdicts else ""
        tokens = (_short(each.prompt_tokens or 0), _short(each.completion_tokens or 0)) if each.calls else ("", "")
        cpu = f"{each.cpu:.0%}" if each.cpu else ""
        listing.add_row(each.queue, each.model or "", done, *tokens, str(each.workers), cpu)
    return listing


def _servers(servers: Sequence[ServerNeeds]) -> Table:
    numbers = ("max_in_flight", "in flight", "busy", "servers", "calls/s each", "GPU hours")
    listing = _titled("servers", "model", numbers=numbers)
    for each in servers:
        needed = str(each.needed) if each.needed == each.servers else f"{each.needed} (job: {each.servers})"
        busy = f"{each.in_flight / each.max_in_flight:.0%} for {duration(each.busy_s)}"
        figures = (f"{each.in_flight:.1f}", busy, needed, f"{each.calls_per_s:.2f}", f"{each.gpu_hours:,.2f}")
        listing.add_row(" + ".join(each.models), str(each.max_in_flight), *figures)
    return listing


def _cost(gpu_hours: float, price: float | None) -> Text:
    told = "" if price is None else f", which cost {price:,.2f}"
    return Text(f"{gpu_hours:,.2f} GPU hours in all{told}")


def _tables(tables: Sequence[TableNeeds]) -> Table:
    listing = _titled("Postgres", "table", numbers=("rows", "size"))
    for each in tables:
        listing.add_row(each.table, f"{each.rows:,}", _size(each.bytes))
    listing.add_row("all", "", _size(sum(each.bytes for each in tables)))
    return listing


def _bottleneck(plan: JobPlan) -> Text:
    found = plan.bottleneck
    then = f", which would take {duration(found.seconds)}" if found.seconds < plan.seconds else ""
    return Text.assemble(
        "\n", ("bottleneck", "bold"), printable(f": {found.name}\nwhat would relieve it: {found.relief}{then}")
    )


def _deadline(plan: DeadlinePlan) -> Iterator[RenderableType]:
    yield Text.assemble(
        "\n",
        (f"to be done in {duration(plan.deadline_s)}", "bold"),
        f" ({duration(plan.seconds)} are foreseen), with instructions.lookahead {plan.lookahead} or more:",
    )
    yield _queues(plan.queues)
    yield _servers(plan.servers)
    yield _cost(plan.gpu_hours, plan.price)


def _titled(title: str, *columns: str, numbers: Sequence[str]) -> Table:
    listing = table(*columns, numbers=numbers)
    listing.title, listing.title_justify = f"\n{title}", "left"
    return listing


def _short(count: float) -> str:
    """A large number in three digits or so."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= 10 * size:
            return f"{count / size:,.0f} {unit}"
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f}"


def _size(size: float) -> str:
    power = 0
    while size >= 1000 and power < len(UNITS) - 1:
        size, power = size / 1000, power + 1
    return f"{size:,.3g} {UNITS[power]}" if power else f"{size:,.0f} B"
