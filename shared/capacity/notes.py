"""What a reader of a plan should know before believing it."""

from collections.abc import Iterator, Sequence

from shared.capacity.figures import Figures
from shared.capacity.forecast import WHOLE
from shared.capacity.needs import TOLERATED, Calls, ServerNeeds
from shared.job import Budget, JobSpec
from shared.method.simulation.outcome import Simulated
from shared.method.tasks import TaskType

FAR = 10  # times as many accepted instructions as were measured with, from where more of them are refused
FEW = 30  # measured records, of which a share tells little


def notes(
    job: JobSpec, figures: Figures, result: Simulated, serving: Sequence[ServerNeeds], calls: Calls
) -> Iterator[str]:
    """Where the plan goes beyond what was measured, or the job stands in its own way."""
    examples = sum(job.targets.values())
    if examples > WHOLE:
        yield f"{WHOLE:,} of {examples:,} examples were simulated, and the rest extrapolated in proportion"
    yield from _few(job, figures)
    yield from _far(job, figures, result)
    yield from (_crowded(each) for each in serving if each.needed > each.servers)
    if job.instructions.lookahead < (most := job.models[job.instructions.model].max_in_flight):
        yield f"instructions.lookahead is {job.instructions.lookahead}: let it be {most} or more, the calls at once"
    yield from _budget(job.budget, result, calls)


def _few(job: JobSpec, figures: Figures) -> Iterator[str]:
    for task_type in job.targets:
        known = figures.yields[task_type]
        for name in ("instructions", "instances", "verdicts"):
            of = getattr(known, name).of
            if of is not None and of < FEW:
                yield f"{task_type}: the yield of {name} was measured on {of} only; a longer run or probe tells more"


def _far(job: JobSpec, figures: Figures, result: Simulated) -> Iterator[str]:
    for name, made in result.made.items():
        known = figures.yields[TaskType(name)].instructions
        measured = known.share * known.of if known and known.of else 0.0
        if measured and made.instructions > FAR * measured:
            yield (
                f"{name}: the novelty gate was measured with up to {measured:,.0f} accepted instructions, and is to"
                f" judge against {made.instructions:,.0f}: it will refuse more, so expect more proposals"
            )


def _crowded(each: ServerNeeds) -> str:
    models, measured = " and ".join(each.models), each.measured_in_flight or 0.0
    here = "server" if each.servers == 1 else "servers"
    return (
        f"{models}: measured with some {measured:.3g} calls at once on a server, to have {each.in_flight:.3g} on"
        f" {each.servers} {here}. The time above holds for {each.needed} servers; with fewer, each call takes longer,"
        f" which --probe {each.max_in_flight} would measure (up to {TOLERATED:g} times as many count as alike)"
    )


def _budget(budget: Budget, result: Simulated, calls: Calls) -> Iterator[str]:
    tokens = (calls.prompt_tokens or 0) + (calls.completion_tokens or 0)
    taken = {"generations": calls.calls, "tokens": tokens, "hours": result.seconds / 3600}
    for name, limit in budget.model_dump(exclude_none=True).items():
        if taken[name] > limit:
            yield f"budget.{name}: {limit:,} are spent before the targets are met, which take {taken[name]:,.3g}"
