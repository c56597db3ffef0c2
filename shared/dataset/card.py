"""The dataset card of an export: README.md with the hub's metadata block, and the pictures in it."""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData
from jinja2 import Environment, StrictUndefined
from sqlalchemy.orm import Session

from shared.dataset import agreement_picture, length_picture
from shared.dataset.card_facts import CardFacts
from shared.dataset.card_files import configs
from shared.dataset.card_filters import FILTERS
from shared.dataset.card_terms import PROGRAM, licence_of, title_of, written_by
from shared.dataset.card_values import LENGTHS, agreement_path, values
from shared.dataset.export_folder import Folder
from shared.dataset.export_record import ExportRecord
from shared.dataset.lengths import lengths_of
from shared.store.judgements import Told

CARD = "README.md"
TEMPLATE = Path(__file__).with_name("card.md.j2").read_text()
TAGS = ["synthetic", "instruction-tuning", PROGRAM]
SIZES = ("K", "M", "B", "T")


def write_card(session: Session, record: ExportRecord, folder: Folder, told: Told = lambda _: None) -> None:
    """Write the card of an export that has facts, with its pictures. Raises `ExportFailedError`."""
    assert record.facts  # noqa: S101 - they are kept for each export that has a card
    for path, drawn in _pictures(record, record.facts):
        _write(folder, path, drawn, written_by())
    decided_by = f"huggingface-hub {version('huggingface-hub')}", f"template {_sha256(TEMPLATE)[:12]}"
    _write(folder, CARD, str(card(record, record.facts)), written_by(*decided_by))
    told(record.rows)


def card(record: ExportRecord, facts: CardFacts) -> DatasetCard:
    """What README.md holds."""
    environment = Environment(  # noqa: S701 - Markdown, whose filters are ours
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters.update(FILTERS)
    body = environment.from_string(TEMPLATE).render(values(record, facts))
    return DatasetCard(f"---\n{_metadata(record).to_yaml()}\n---\n\n{body}")


def _metadata(record: ExportRecord) -> DatasetCardData:
    licence = licence_of(record)
    named: dict[str, Any] = {"license_name": licence.name} if licence.name else {}
    return DatasetCardData(
        annotations_creators=["machine-generated"],
        language_creators=["machine-generated"],
        license=licence.id,
        size_categories=[size_category(record.rows)],
        source_datasets=["original"],
        task_categories=["text-generation"],
        pretty_name=title_of(record),
        **named,
        tags=TAGS,
        configs=configs(record),
    )


def size_category(rows: int) -> str:
    """The hub's word for how many examples there are: between two powers of ten."""
    if rows < 1_000:
        return "n<1K"
    power = len(str(rows)) - 1
    return f"{_round(power)}<n<{_round(power + 1)}"


def _round(power: int) -> str:
    return f"{10 ** (power % 3)}{SIZES[power // 3 - 1]}"


def _pictures(record: ExportRecord, facts: CardFacts) -> Iterator[tuple[str, str]]:
    for run in facts.runs:
        title = f"{run.run}, judgement {run.judgement}: {run.terms.rule}"
        yield agreement_path(record, run.run), agreement_picture.picture(run.agreement, title, [])
    yield LENGTHS, length_picture.picture(lengths_of(facts.words), title_of(record))


def _write(folder: Folder, path: str, content: str, by: str) -> None:
    file = folder.create(path)
    file.write(content.encode())
    folder.add(path, file, written_by=by)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
