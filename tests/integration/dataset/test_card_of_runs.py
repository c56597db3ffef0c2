"""The card of several runs, and what it says of look-alikes, which have to be many to be seen."""

import re
import uuid
from pathlib import Path

import pytest
from sqlalchemy import text

from shared.dataset.choosing import Request
from shared.dataset.export import export
from shared.dataset.export_record import ExportOptions, ExportRecord
from shared.store.exports import ExportedRun
from shared.store.keys import judgement_key
from shared.store.session import Sessions
from tests.integration.admin.card_reading import picture_texts, sections, sentences, tables
from tests.integration.store.judged import Outputs, plant_judged

ALIKE: list[Outputs] = [
    (f"a long answer about matter {n}, which goes on for a while", f"matter {n}", f"Matter {n}!") for n in range(24)
]
OTHERS: list[Outputs] = [("the sun", "the sun", "no idea"), ("one two three", "one two four", "one two five")]


def exported(sessions: Sessions, run_ids: dict[str, uuid.UUID], out: Path) -> ExportRecord:
    """An export of all examples of these runs, with a card."""
    with sessions.begin() as session:
        session.execute(text("UPDATE examples SET surplus = false"))
    runs = tuple(ExportedRun(id, name, judgement_key(id), 0) for name, id in run_ids.items())
    with sessions() as session:
        return export(session, Request(runs, ExportOptions(card=True)), out).record


@pytest.fixture
def folder(sessions: Sessions, tmp_path: Path) -> Path:
    """An export of two runs, one of them with voices that are alike."""
    names: dict[str, list[Outputs]] = {"judged-2": OTHERS, "judged-1": ALIKE}
    exported(
        sessions, {name: plant_judged(sessions, outputs, name) for name, outputs in names.items()}, tmp_path / "out"
    )
    return tmp_path / "out"


def test_each_run_has_its_parts_in_the_order_of_the_command(folder: Path) -> None:
    card = sections(folder)
    assert [row["run"] for row in tables(card["Examples"])[0]] == ["judged-2", "judged-1"]
    assert [row["run"] for row in tables(card["Consensus"])[0]] == ["judged-2", "judged-1"]
    assert len(tables(card["From proposals to examples"])) == len(re.findall("```yaml", card["Jobs"])) == 2
    assert re.findall(r"\]\((.*)\)", card["Agreement"]) == ["agreement-judged-2.svg", "agreement-judged-1.svg"]
    for run in ("judged-1", "judged-2"):
        assert f"{run}, judgement 0: ensemble-instruct" in picture_texts(folder / f"agreement-{run}.svg")


def test_look_alikes_are_told_with_figures_that_anybody_can_count(folder: Path, sessions: Sessions) -> None:
    (told,) = [each for each in sentences(sections(folder)["Known biases"]) if "answer alike" in each]
    query = text(
        r"""
        SELECT count(*), count(*) FILTER (WHERE v.choice_id IN (b.id, c.id)),
          avg(CAST(v.scores -> 1 ->> 2 AS float)),
          avg((CAST(v.scores -> 0 ->> 1 AS float) + CAST(v.scores -> 0 ->> 2 AS float)) / 2),
          avg(regexp_count(lower(d.output), '[a-z0-9]+')), avg(regexp_count(lower(a.output), '[a-z0-9]+'))
        FROM lineage.verdicts v
        JOIN lineage.candidates a ON a.id = v.candidate_ids[1] JOIN lineage.candidates b ON b.id = v.candidate_ids[2]
        JOIN lineage.candidates c ON c.id = v.candidate_ids[3] JOIN lineage.candidates d ON d.id = v.choice_id
        WHERE v.run = 'judged-1'
        """
    )
    with sessions() as session:
        count, wins, inside, outside, words, others = session.execute(query).one()
    assert told.startswith(
        f"In `judged-1` the voices `one` and `two` answer alike (Rouge-L {inside:.2f} with each other, {outside:.2f} "
        f"with the others) and won {wins} of {count} ({wins / count:.1%}) of the decisions"
    )
    assert f"where {2 / 3:.1%} would be an even share" in told
    assert f"{float(words):.1f} words on average against {float(others):.1f}" in told


def test_a_licence_that_nobody_declared_is_not_made_up(folder: Path) -> None:
    assert "license: unknown" in (folder / "README.md").read_text().partition("\n---\n")[0]
    assert sections(folder)["Licence"].strip().startswith("Not known: no licence is declared of the models")
