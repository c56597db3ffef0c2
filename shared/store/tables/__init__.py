"""Every table, importable from one place."""

from shared.store.base import Base
from shared.store.tables.endpoints import EndpointState
from shared.store.tables.exports import Export, ExportExclusion, ExportJudgement, ExportRow
from shared.store.tables.origins import Origin, OriginFile
from shared.store.tables.records import Candidate, Example, Generation, Instance, Instruction, Judgement, Verdict
from shared.store.tables.retractions import RetractedRecord, Retraction, RetractionRoot
from shared.store.tables.runs import Model, PromptTemplate, Run, RunPrompt, RunSeed, RunTarget, SeedTask, Server
from shared.store.tables.totals import GenerationTotals, RecordTotals, SeedTotals
from shared.store.tables.work import WorkItem

__all__ = [
    "Base",
    "Candidate",
    "EndpointState",
    "Example",
    "Export",
    "ExportExclusion",
    "ExportJudgement",
    "ExportRow",
    "Generation",
    "GenerationTotals",
    "Instance",
    "Instruction",
    "Judgement",
    "Model",
    "Origin",
    "OriginFile",
    "PromptTemplate",
    "RecordTotals",
    "RetractedRecord",
    "Retraction",
    "RetractionRoot",
    "Run",
    "RunPrompt",
    "RunSeed",
    "RunTarget",
    "SeedTask",
    "SeedTotals",
    "Server",
    "Verdict",
    "WorkItem",
]
