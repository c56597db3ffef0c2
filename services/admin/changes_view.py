"""How what a judgement changes looks in a terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.admin.console import printable, table
from shared.dataset.changes import Change, Changes, Outcome, Sample
from shared.method.tasks import TaskType
from shared.shortening import shortened

CHANGES = {
    Change.SAME_OUTPUT: "kept both times, the same output",
    Change.OTHER_OUTPUT: "kept both times, another output",
    Change.NEWLY_DISCARDED: "kept before, discarded now",
    Change.NEWLY_KEPT: "discarded before, kept now",
    Change.STILL_DISCARDED: "discarded both times",
}
SHORT = 100


def changes_view(
    changes: Changes, voices: Sequence[str], before: Mapping[TaskType, int], targets: Mapping[TaskType, int]
) -> RenderableType:
    """Instances by change, wins by voice, examples by type (without surplus), and a few instances that changed."""
    return Group(
        _counts(changes),
        *_retracted(changes),
        "",
        _wins(changes, voices),
        "",
        _examples(changes, before, targets),
        *_samples(changes),
    )


def _counts(changes: Changes) -> Table:
    rows = table("verdict", numbers=("instances", "share"))
    for change, label in CHANGES.items():
        count = changes.counts[change]
        rows.add_row(label, str(count), f"{count / changes.instances:.1%}")
    return rows


def _retracted(changes: Changes) -> list[str]:
    instances, outputs = changes.retracted_instances, changes.retracted_outputs
    return [f"left out as retracted: {instances} instances, {outputs} outputs of others"] * bool(instances or outputs)


def _wins(changes: Changes, voices: Sequence[str]) -> Table:
    rows = table("output kept from", numbers=("before", "now"))
    for voice in voices:
        rows.add_row(voice, str(changes.wins_before[voice]), str(changes.wins_after[voice]))
    return rows


def _examples(changes: Changes, before: Mapping[TaskType, int], targets: Mapping[TaskType, int]) -> Table:
    after = changes.examples(targets)
    rows = table("examples", numbers=("target", "before", "now"))
    for task_type, target in targets.items():
        rows.add_row(task_type, str(target), str(before.get(task_type, 0)), str(after[task_type]))
    return rows


def _samples(changes: Changes) -> list[Text]:
    """Some of each kind, and how many more there are."""
    lines = []
    for change in CHANGES:
        shown = [_sample(each) for each in changes.samples if each.change is change]
        more = changes.counts[change] - len(shown)
        lines += [*shown, *[Text(f"\nand {more} more")] * bool(shown and more)]
    return lines


def _sample(sample: Sample) -> Text:
    asked = f"{sample.instruction} | {sample.input}" if sample.input else sample.instruction
    head = f"\n{CHANGES[sample.change]}: instance {str(sample.instance_id)[:8]}  "
    lines = f"\n  before  {_outcome(sample.before)}\n  now     {_outcome(sample.after)}"
    return Text.assemble((head, "bold"), _short(asked), lines)


def _outcome(outcome: Outcome) -> str:
    return f"{outcome.voice}: {_short(outcome.output or '')}" if outcome.voice else f"discarded: {outcome.reason}"


def _short(text: str) -> str:
    return printable(shortened(text, SHORT))
