"""What the template of a dataset card is filled with."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from shared.dataset import agreement_picture, length_picture
from shared.dataset.biases import biases
from shared.dataset.card_facts import CardFacts
from shared.dataset.card_files import columns, loader
from shared.dataset.card_rules import rules
from shared.dataset.card_terms import PAPERS, licence_of, makers_of, title_of, written_by
from shared.dataset.export_record import ExportOptions, ExportRecord
from shared.dataset.lengths import lengths_of
from shared.method.tasks import TaskType
from shared.store.export_sources import Calls

LENGTHS = "lengths.svg"


def values(record: ExportRecord, facts: CardFacts) -> dict[str, Any]:
    """By the names that the template knows them by."""
    lengths = lengths_of(facts.words)
    return {
        "record": record,
        "facts": facts,
        "title": title_of(record),
        "made": makers_of(record),
        "of_runs": any(not run.job.imported for run in facts.runs),
        "makers": " and ".join(name for name, each in (("models", facts.models), ("files", facts.files)) if each),
        "licence": licence_of(record),
        "program": written_by(),
        "papers": PAPERS,
        "loader": list(loader(record)),
        "files": [file for file in record.files if file.format],
        "columns": columns(record),
        "counts": _counts(record, facts),
        "served": list(_served(facts)),
        "calls": list(_alike_but_for_servers(facts.calls)),
        "templates": _templates(facts),
        "rules": rules(run.terms.rule for run in facts.runs),
        "asked": list(_asked(record.options)),
        "agreement_pictures": [
            (agreement_path(record, each.run), agreement_picture.description(each.agreement)) for each in facts.runs
        ],
        "lengths": lengths,
        "length_path": LENGTHS,
        "length_text": length_picture.description(lengths),
        "biases": list(biases(facts, lengths)),
    }


def agreement_path(record: ExportRecord, run: str) -> str:
    """Where the picture of a run's agreement lies in the folder."""
    return "agreement.svg" if len(record.runs) == 1 else f"agreement-{run}.svg"


def _counts(record: ExportRecord, facts: CardFacts) -> list[dict[str, Any]]:
    """In the order of the runs, and for each in that of the splits."""
    splits = [None, *(name for name, _ in record.options.split)]
    counts: Counter[tuple[str, str | None, TaskType]] = Counter()
    for group in facts.groups:
        counts[group.run, group.split, group.task_type] += group.examples
    return [
        {"run": run, "judgement": judgement, "split": split, "task_type": kind, "examples": count}
        for run, judgement in ((run.run, run.judgement) for run in record.runs)
        for split in splits
        for kind in TaskType
        if (count := counts[run, split, kind])
    ]


def _served(facts: CardFacts) -> Iterator[dict[str, Any]]:
    """The models, each as often as its servers said different things of themselves."""
    for model in facts.models:
        calls = [each for each in facts.calls if (each.run, each.model) == (model.run, model.model)]
        said = dict.fromkeys((each.served_model, each.revision, each.version) for each in calls)
        for served_model, revision, version in said or [(model.served_model, None, None)]:
            yield {
                "run": model.run,
                "model": model.model,
                "kind": model.kind,
                "licence": model.licence,
                "served_model": served_model,
                "revision": revision,
                "version": version,
                "examples": model.examples,
            }


def _alike_but_for_servers(calls: tuple[Calls, ...]) -> Iterator[Calls]:
    alike: list[Calls] = []
    for each in (replace(call, served_model=None, revision=None, version=None) for call in calls):
        if alike and replace(alike[-1], calls=0) == replace(each, calls=0):
            alike[-1] = replace(each, calls=alike[-1].calls + each.calls)
        else:
            alike.append(each)
    yield from alike


def _templates(facts: CardFacts) -> list[tuple[str, int, str]]:
    return list(dict.fromkeys((each.template, each.template_version, each.template_sha256) for each in facts.calls))


def _asked(options: ExportOptions) -> Iterator[tuple[str, str]]:
    """The options that decide which examples there are, and in which order."""
    named = options.model_dump(
        mode="json", exclude_defaults=True, include={"surplus", "where", "min_agreement", "limit", "shuffle", "as_of"}
    )
    yield from ((f"--{name.replace('_', '-')}", str(value)) for name, value in named.items())
    if options.licences:
        yield "--licence", ",".join(options.licences)
    if options.split:
        yield "--split", ",".join(f"{name}={fraction}" for name, fraction in options.split)
    for file in options.decontaminate:
        yield "--decontaminate", f"{file.name}, SHA-256 {file.sha256}"
