"""Figures: what may stand in a file of them, and what is found for a call."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.capacity.crowd import Interval, crowd
from shared.capacity.duration import BadDeadlineError, duration, read_deadline
from shared.capacity.figures import BYTES_PER_ROW, Figures, ModelFigures
from shared.capacity.figures_file import (
    FiguresExistError,
    FiguresRefusedError,
    NoFolderError,
    read_figures,
    refuse_unwritable,
    write_figures,
)
from shared.method.tasks import Stage, TaskType
from tests.unit.capacity.planned import figures

CALL = {"stage": "output", "model": "lm", "latency_s": 2}


@pytest.mark.parametrize("name", ["figures.yaml", "figures.json"])
def test_figures_that_were_written_are_read_again(tmp_path: Path, name: str) -> None:
    measured = figures(
        calls=[
            {**CALL, "task_type": "output_only", "latency_s": {"mean": 2, "quantiles": {0: 1, 0.5: 2, 1: 4.5}}},
            {**CALL, "faults": [{"fault": "timed_out", "share": 0.01, "latency_s": 60}]},
        ],
        models={"lm": {"servers": 2, "in_flight": 7.5}},
        bytes_per_row={"generations": 5000},
    )
    write_figures(tmp_path / name, measured)
    assert read_figures(tmp_path / name) == measured
    text = (tmp_path / name).read_text()
    assert (json.loads(text) if name.endswith("json") else yaml.safe_load(text))["version"] == 1


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "figures.yaml"
    path.write_text("mine")
    with pytest.raises(FiguresExistError):
        write_figures(path, figures())
    assert path.read_text() == "mine"


def test_where_no_file_can_be_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for missing in ("none", "taken"):
        with pytest.raises(NoFolderError, match=f"there is no folder .*{missing}; make it"):
            refuse_unwritable(tmp_path / missing / "figures.yaml")
    with pytest.raises(FiguresExistError):
        refuse_unwritable(tmp_path / "taken")
    refuse_unwritable(tmp_path / "figures.yaml")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("calls: [", "it is not YAML or JSON"),
        ("- a", "it is not a mapping"),
        ("calls: []", "calls: there should be one at least"),
        ({"calls": [{**CALL, "latency": 1}]}, "calls.0.latency: there is no such figure; check its spelling"),
        ({"calls": [{"stage": "output", "model": "lm"}]}, "calls.0.latency_s: is missing"),
        ({"calls": [{**CALL, "stage": "consensus"}]}, "calls.0.stage: "),
        ({"calls": [{**CALL, "latency_s": -1}]}, "calls.0.latency_s.mean: "),
        ({"calls": [{**CALL, "latency_s": "quick"}]}, "calls.0.latency_s: should be seconds, or a mapping"),
        ({"calls": [{**CALL, "latency_s": {"mean": 1, "quantiles": {0.1: 3, 0.9: 2}}}]}, "quantiles should rise"),
        ({"calls": [{**CALL, "faults": [{"fault": "timed_out", "share": 0.6}] * 2}]}, "no call is left"),
        ({"calls": [CALL], "yields": {"output_only": {"verdicts": 1.2}}}, "verdicts: at most 1"),
        ({"calls": [CALL], "yields": {"output_only": {"verdicts": []}}}, "verdicts: should be the share that is kept"),
        ({"calls": [CALL], "version": 2}, "version: "),
    ],
)
def test_a_file_that_holds_no_figures_is_refused_by_field(tmp_path: Path, content: Any, told: str) -> None:
    path = tmp_path / "figures.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(FiguresRefusedError, match="holds no figures to plan with") as refused:
        read_figures(path)
    assert told in str(refused.value)


def test_a_file_written_by_hand_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "guessed.yaml"
    path.write_text(yaml.safe_dump({"calls": [CALL]}))
    assert read_figures(path).source == "guessed.yaml"


def test_a_file_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(FiguresRefusedError, match="No such file"):
        read_figures(tmp_path / "none.yaml")


def test_a_call_finds_the_figures_of_its_own_prompt_and_type_before_others() -> None:
    calls = [
        {**CALL, "latency_s": 1},
        {**CALL, "latency_s": 2, "template": "mine"},
        {**CALL, "latency_s": 3, "template": "mine", "task_type": "output_only"},
        {**CALL, "latency_s": 4, "template": "other"},
    ]
    known = Figures.model_validate({"calls": calls})

    def found(model: str, template: str, task_type: TaskType = TaskType.INPUT_OUTPUT) -> float | None:
        figures = known.call(Stage.OUTPUT, task_type, model, template)
        return figures.latency_s.mean if figures else None

    assert found("lm", "mine", TaskType.OUTPUT_ONLY) == 3
    assert found("lm", "mine") == 2
    assert found("lm", "unheard-of") == 1
    assert found("another", "mine") is None
    assert known.call(Stage.INSTANCE, TaskType.OUTPUT_ONLY, "lm", "mine") is None


def test_servers_that_had_next_to_nothing_to_do_have_figures() -> None:
    assert ModelFigures.measured(servers=2, in_flight=15.0, calls=100, seconds=200.0) == ModelFigures(
        servers=2, in_flight=7.5, calls_per_s=3.75
    )
    idle = ModelFigures.measured(servers=8, in_flight=0.01, calls=30_000, seconds=9_000_000.0)
    assert (idle.in_flight, idle.calls_per_s) == (0.00125, 4.167e-06)


def test_what_a_row_takes_is_the_documented_unless_measured() -> None:
    rows = figures(bytes_per_row={"verdicts": 99}).row_bytes()
    assert rows == {**BYTES_PER_ROW, "verdicts": 99}


def test_the_crowd_is_what_a_call_sees() -> None:
    assert crowd([]) == 0
    assert crowd([Interval(0, 1), Interval(5, 6)]) == 1
    assert crowd([Interval(0, 2)] * 3) == 3
    assert crowd([Interval(0, 2), Interval(1, 2)]) == pytest.approx(5 / 3)  # alone for 1 s of 3, two for 2


@pytest.mark.parametrize(
    ("text", "seconds"), [("12h", 43_200), ("90m", 5400), ("1h30m", 5400), ("2d", 172_800), ("0.5h", 1800), ("45s", 45)]
)
def test_a_deadline_is_a_length_of_time(text: str, seconds: float) -> None:
    assert read_deadline(text) == seconds


@pytest.mark.parametrize("text", ["", "12", "12x", "h", "-1h", "0h", "1h 30m", "12hours", "99999d"])
def test_anything_else_is_no_deadline(text: str) -> None:
    with pytest.raises(BadDeadlineError, match="such as 12h, 90m, 1h30m or 2d"):
        read_deadline(text)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (8.24, "8.2 s"),
        (59.97, "1 min 0 s"),
        (250, "4 min 10 s"),
        (3599.6, "1 h 0 min"),
        (11_520, "3 h 12 min"),
        (183_600, "2 d 3 h"),
    ],
)
def test_a_length_of_time_is_told_in_two_units(seconds: float, told: str) -> None:
    assert duration(seconds) == told
