"""docs/telemetry.md tells of every metric what the code does."""

import re
from pathlib import Path

import pytest

from shared.telemetry.metrics import PREFIX
from tests.unit.telemetry.described import Described, of_runs, of_workers

DOCS = (Path(__file__).parents[3] / "docs" / "telemetry.md").read_text()


@pytest.mark.parametrize(
    ("heading", "described"),
    [("### Of a worker", of_workers()), ("### Of the runs", of_runs())],
    ids=["workers", "runs"],
)
def test_the_tables_are_the_codes_own(heading: str, described: list[Described]) -> None:
    section = DOCS.partition(f"{heading}\n")[2].partition("\n#")[0]
    assert re.findall(r"^\| `.*$", section, re.MULTILINE) == [each.row for each in described]


def test_every_metric_says_what_it_means_and_no_label_holds_an_id() -> None:
    for each in (*of_workers(), *of_runs()):
        assert each.name.startswith(PREFIX)
        assert each.help
        assert not [label for label in each.labels if label == "id" or label.endswith("_id")]
