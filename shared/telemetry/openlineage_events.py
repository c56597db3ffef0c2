"""A run in OpenLineage's words: it reads a seed file, or imports files, and writes examples into Postgres.

https://openlineage.io/docs/spec/object-model
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

import yaml
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent
from openlineage.client.event_v2 import RunState as EventType
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    RunFacet,
    dataset_version_dataset,
    datasource_dataset,
    documentation_dataset,
    documentation_job,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    output_statistics_output_dataset,
    ownership_job,
    processing_engine_run,
    schema_dataset,
    source_code_job,
)

from shared.job import JobSpec
from shared.store.run_facts import File, RunFacts
from shared.store.tables.runs import RunState
from shared.store.transitions import Transition

PROGRAM = "ensemble-instruct"
PRODUCER = f"urn:{PROGRAM}:{version(PROGRAM)}"
TYPES = {
    RunState.RUNNING: EventType.START,
    RunState.COMPLETED: EventType.COMPLETE,
    RunState.SPENT: EventType.ABORT,
    RunState.CANCELLED: EventType.ABORT,
    RunState.FAILED: EventType.FAIL,
}
SEED_FIELDS = {
    "id": ("string", "unique in the file"),
    "name": ("string", "a short name for people"),
    "instruction": ("string", "what to do"),
    "instances": ("array", "its worked inputs and outputs"),
    "is_classification": ("boolean", "whether the output is one of a few labels"),
}

Field = schema_dataset.SchemaDatasetFacetFields


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is: the namespace of its job, and the address and name of its database."""

    namespace: str
    store: str
    database: str


def run_event(facts: RunFacts, transition: Transition, place: Place) -> RunEvent:
    """What is told when a run begins, goes on or ends."""
    kind = TYPES[transition.state]
    return RunEvent(
        eventType=kind,
        eventTime=transition.at.isoformat(),
        run=Run(str(transition.run_id), _run_facets(transition, kind)),
        job=Job(place.namespace, facts.job.name, _job_facets(facts.job)),
        inputs=[_imported(file) for file in facts.files] or [_seeds(facts)],
        outputs=[_examples(facts, place, ended=kind is not EventType.START)],
        producer=PRODUCER,
    )


def _run_facets(transition: Transition, kind: EventType) -> dict[str, RunFacet]:
    engine = processing_engine_run.ProcessingEngineRunFacet(version(PROGRAM), PROGRAM, version("openlineage-python"))
    facets: dict[str, RunFacet] = {"processing_engine": engine}
    if kind in (EventType.ABORT, EventType.FAIL):
        message = f"{transition.state}: {transition.reason or 'no reason is known'}"
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(message, "PYTHON")
    return facets


def _job_facets(job: JobSpec) -> dict[str, JobFacet]:
    source = yaml.safe_dump(job.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True)
    facets: dict[str, JobFacet] = {
        "jobType": job_type_job.JobTypeJobFacet("BATCH", "ENSEMBLE_INSTRUCT", "JOB"),
        "sourceCode": source_code_job.SourceCodeJobFacet("yaml", source),
        "documentation": documentation_job.DocumentationJobFacet(_told(job), "text/plain"),
    }
    if job.owner:
        facets["ownership"] = ownership_job.OwnershipJobFacet([ownership_job.Owner(job.owner)])
    return facets


def _told(job: JobSpec) -> str:
    targets = " and ".join(f"{target} examples of type {kind}" for kind, target in job.targets.items())
    licences = {name: spec.licence or "no licence declared" for name, spec in job.models.items()}
    models = ", ".join(f"{name} ({licence})" for name, licence in licences.items())
    if job.imported:
        files = ", ".join(f"{file.name} ({file.licence or 'no licence declared'})" for file in job.imported.files)
        answered = f", and answered by {models}" if models else ""
        return f"Instruction-tuning data that was made elsewhere: {targets} at most, imported from {files}{answered}."
    return f"Instruction-tuning data by Ensemble-Instruct: {targets}, written by {models}."


def _imported(file: File) -> InputDataset:
    said = [file.source and f"It is from: {file.source}.", file.licence and f"Its licence: {file.licence}."]
    told = " ".join(["Examples that were made elsewhere.", *filter(None, said)])
    facets: Mapping[str, DatasetFacet] = {
        "documentation": documentation_dataset.DocumentationDatasetFacet(told),
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(file.sha256),
    }
    statistics = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=file.records)
    return InputDataset("file", file.name, {"inputStatistics": statistics}, facets=dict(facets))


def _seeds(facts: RunFacts) -> InputDataset:
    path = facts.job.seeds
    place = ("file", str(path)) if path else (PROGRAM, "seeds/tasks.jsonl")
    fields = [Field(name, type, description) for name, (type, description) in SEED_FIELDS.items()]
    told = "Human-written tasks, the first demonstrations and the roots of every lineage."
    facets: Mapping[str, DatasetFacet] = {
        "schema": schema_dataset.SchemaDatasetFacet(fields),
        "documentation": documentation_dataset.DocumentationDatasetFacet(told),
    }
    statistics = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=facts.seeds)
    return InputDataset(*place, {"inputStatistics": statistics}, facets=dict(facets))


def _examples(facts: RunFacts, place: Place, *, ended: bool) -> OutputDataset:
    fields = [Field(each.name, each.type, each.description) for each in facts.columns]
    told = f"The examples of all runs; those of this one have '{facts.name}' as their run, and judgement 0."
    facets: Mapping[str, DatasetFacet] = {
        "schema": schema_dataset.SchemaDatasetFacet(fields),
        "dataSource": datasource_dataset.DatasourceDatasetFacet(place.database, f"{place.store}/{place.database}"),
        "documentation": documentation_dataset.DocumentationDatasetFacet(told),
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(facts.fingerprint),
    }
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=facts.examples)
    return OutputDataset(
        place.store,
        f"{place.database}.lineage.examples",
        {"outputStatistics": statistics} if ended else {},
        facets=dict(facets),
    )
