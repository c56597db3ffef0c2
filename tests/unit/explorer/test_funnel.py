"""The funnel in rows."""

from services.explorer.funnel import reasons, stages
from shared.store.views.totals import Step

STEPS = [
    Step(1, "proposal", "input_output", "answered", None, 8),
    Step(1, "proposal", "input_output", "failed", "timed_out", 2),
    Step(2, "instruction", "input_output", "accepted", None, 5),
    Step(2, "instruction", "input_output", "rejected", "not_novel", 1),
    Step(2, "instruction", "input_output", "rejected", "too_short", 2),
    Step(2, "instruction", "output_only", "rejected", "not_novel", 4),
    Step(6, "example", "input_output", "wanted", None, 3),
    Step(6, "example", "input_output", "surplus", None, 1),
]


def test_a_step_says_what_it_kept_and_left_out_of_each_type() -> None:
    proposals, instructions, examples = stages(STEPS)
    assert (proposals.kept["input_output"], proposals.left_out["input_output"]) == (8, 2)
    assert (instructions.kept["output_only"], instructions.left_out["output_only"]) == (0, 4)
    assert (examples.kept["input_output"], examples.left_out["input_output"]) == (3, 1)
    assert proposals.share("input_output") == 0.8
    assert proposals.share("output_only") is None


def test_reasons_go_by_step_then_by_how_often() -> None:
    found = [(each.reason, each.total, each.listed) for each in reasons(STEPS)]
    assert found == [("timed_out", 2, False), ("not_novel", 5, True), ("too_short", 2, True)]
