"""How a run's progress looks in a terminal."""

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.admin.console import printable, table
from shared.lm.health import CircuitState
from shared.method.tasks import Stage, TaskType
from shared.store.endpoints import EndpointView
from shared.store.progress import RunProgress, TypeProgress

STAGES = {
    Stage.INSTRUCTION: "instructions",
    Stage.INSTANCE: "instances",
    Stage.OUTPUT: "outputs",
    Stage.CONSENSUS: "consensus",
}
WINDOW_S = 15.0


@dataclass
class Speed:
    """Tokens written a second, over the last `WINDOW_S` seconds of a run."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def measured(self, progress: RunProgress) -> float:
        """The speed now, this measurement included."""
        tokens = sum(model.completion_tokens for model in progress.models)
        self._seen.append((progress.seconds, tokens))
        while len(self._seen) > 2 and self._seen[0][0] < progress.seconds - WINDOW_S:
            self._seen.popleft()
        (first, before), (last, after) = self._seen[0], self._seen[-1]
        return (after - before) / (last - first) if last > first else 0.0


def headline(progress: RunProgress, tokens_per_s: float) -> Text:
    """A run in one line."""
    elapsed = timedelta(seconds=int(progress.seconds))
    figures = f"{progress.state}  {_made(progress)}  {tokens_per_s:.0f} tokens/s  {elapsed}"
    return Text.assemble((f"{progress.name}  ", "bold"), figures)


def live_view(progress: RunProgress, tokens_per_s: float) -> RenderableType:
    """The picture that `watch` keeps up to date."""
    return Group(headline(progress, tokens_per_s), _bars(progress), *_troubles(progress), *_endpoints(progress))


def _made(progress: RunProgress) -> str:
    made = sum(min(each.examples, each.target) for each in progress.types.values())
    told = f"{made} of {sum(each.target for each in progress.types.values())} examples"
    return f"{told} of judgement 0" if progress.further else told


def _made_in_all(progress: RunProgress) -> str:
    """What the latest judgement made, too: it's the one to export, and may have heard more voices."""
    if not progress.further:
        return _made(progress)
    latest = progress.further[-1]
    return f"{_made(progress)}, {latest.examples} of judgement {latest.number}, the latest,"


def status_view(progress: RunProgress) -> RenderableType:
    """The picture that `status` prints."""
    head = Text.assemble(
        (f"{progress.name}", "bold"),
        f"  {progress.run_id}\n{progress.state}{f': {printable(progress.reason)}' if progress.reason else ''}\n"
        f"{_made_in_all(progress)} in {timedelta(seconds=int(progress.seconds))}, fingerprint {progress.fingerprint}"
        f"{_retracted(progress)}{_budget(progress)}{_oldest(progress)}",
    )
    troubles = (*_troubles(progress), *_endpoints(progress))
    models = [_models(progress)] if progress.models else []
    return Group(head, _bars(progress), *models, *_reasons(progress), *troubles)


def _retracted(progress: RunProgress) -> str:
    if not progress.retracted:
        return ""
    return f"\nretracted: {progress.retracted} of these examples; why: ensemble-instruct retractions"


def _budget(progress: RunProgress) -> str:
    spending, budget = progress.spending, progress.budget
    parts = [
        f"{spending.generations:,} of {budget.generations:,} generations" if budget.generations else "",
        f"{spending.tokens:,} of {budget.tokens:,} tokens" if budget.tokens else "",
        f"{spending.hours:.2f} of {budget.hours:g} hours" if budget.hours else "",
    ]
    told = ", ".join(filter(None, parts))
    return f"\nbudget: {told}" if told else ""


def _oldest(progress: RunProgress) -> str:
    if progress.oldest_open_s is None or progress.ended:
        return ""
    return f"\noldest unfinished work: {timedelta(seconds=int(progress.oldest_open_s))}"


def _bars(progress: RunProgress) -> Table:
    bars = table("stage", "type", "", numbers=("accepted", "rejected", "to do"))
    for task_type, each in progress.types.items():
        for stage, label in STAGES.items():
            counts = each.stages[stage]
            bar = ProgressBar(total=max(_total(each, stage), 1), completed=_done(each, stage), width=24)
            bars.add_row(label, task_type, bar, str(counts.accepted), str(counts.rejected), str(counts.open))
    return bars


def _done(each: TypeProgress, stage: Stage) -> int:
    if stage is Stage.CONSENSUS:
        return min(each.examples, each.target)
    if stage is Stage.INSTRUCTION and each.proposed:
        return each.gated
    counts = each.stages[stage]
    return counts.accepted + counts.rejected


def _total(each: TypeProgress, stage: Stage) -> int:
    """What a bar is full at: the target for the last stage, all that has arrived so far for the others."""
    if stage is Stage.CONSENSUS:
        return each.target
    if stage is Stage.INSTRUCTION and each.proposed:
        return each.proposed
    return _done(each, stage) + each.stages[stage].open


def _models(progress: RunProgress) -> Table:
    models = table("model", numbers=("calls", "tokens read", "tokens written", "claimed", "waiting"))
    for model in progress.models:
        counts = (model.calls, model.prompt_tokens, model.completion_tokens, model.busy, model.waiting)
        models.add_row(model.name, *(str(count) for count in counts))
    return models


def _reasons(progress: RunProgress) -> list[Text]:
    lines = []
    for task_type in TaskType:
        for stage, label in STAGES.items():
            reasons = progress.types[task_type].stages[stage].reasons if task_type in progress.types else {}
            if reasons:
                most = sorted(reasons.items(), key=lambda item: -item[1])
                told = ", ".join(f"{reason} {count}" for reason, count in most)
                lines.append(Text(f"rejected {label} ({task_type}): {told}", style="dim"))
    return lines


def _troubles(progress: RunProgress) -> list[Text]:
    return [
        Text(
            printable(
                f"{model.name}: {model.waiting} call(s) to be tried again; latest: {model.fault}: {model.detail}"
            ),
            "yellow",
        )
        for model in progress.models
        if model.waiting and not progress.ended
    ]


def _endpoints(progress: RunProgress) -> list[Text]:
    shown = [each for each in progress.endpoints if each.recent and not each.fine and not progress.ended]
    return [Text(printable(f"{each.model} at {each.endpoint}: {_trouble_at(each)}"), "yellow") for each in shown]


def _trouble_at(each: EndpointView) -> str:
    latest = f"{each.fault}: {each.detail}" if each.fault else "slow answers"
    if each.state is CircuitState.CLOSED:
        return f"limit {each.limit} of {each.ceiling}, {latest}"
    since = each.since.astimezone().isoformat(sep=" ", timespec="seconds")[:19]
    seen = f" for {each.shut_out} of {each.workers} workers" if each.shut_out < each.workers else ""
    return f"circuit {each.state.replace('_', ' ')} since {since}{seen}, {latest}"
