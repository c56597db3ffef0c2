"""An LM call on its way: prepared from claimed work, answered or failed, written down."""

import time
import uuid
from dataclasses import astuple, dataclass, field
from functools import lru_cache
from typing import Any

from shared.job import ModelKind
from shared.lm import parameters
from shared.lm.errors import LMError
from shared.lm.protocol import Answer, Call, Description
from shared.method.decoding import Decoding, DecodingOverrides
from shared.method.prompts import PromptTemplate, render
from shared.method.sampling import call_seed
from shared.method.tasks import Demonstration, DemonstrationKind
from shared.store.copying import Row
from shared.store.keys import key
from shared.store.loading import RunContext
from shared.store.runs import template_key
from shared.store.work import Claim


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A call ready to be sent, with what it was made from."""

    claim: Claim
    call: Call
    template: PromptTemplate
    demonstrations: tuple[Demonstration, ...]
    model: str
    generation_id: uuid.UUID
    """The key of the generation that this attempt becomes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call: an answer or an error, after `latency_s` seconds, at `ended_at` since the epoch."""

    prepared: PreparedCall
    result: Answer | LMError
    latency_s: float
    ended_at: float = field(default_factory=time.time)


def prepare(
    context: RunContext,
    claim: Claim,
    *,
    model: str,
    template: PromptTemplate,
    overrides: DecodingOverrides,
    stop: tuple[str, ...],
    demonstrations: tuple[Demonstration, ...],
    **values: str,
) -> PreparedCall:
    """Render a claim's prompt."""
    shown = demonstrations if template.shows_demonstrations else ()
    call = Call(
        prompt=render(template, shown, **values),
        decoding=_decoding(overrides, template.decoding),
        stop=stop,
        seed=call_seed(context.job.seed, claim.stage, claim.task_type, claim.position, claim.voice),
        chat=context.job.models[model].kind is ModelKind.INSTRUCT,
    )
    return PreparedCall(claim, call, template, shown, model, key("generation", claim.id, claim.attempt))


@lru_cache(maxsize=256)
def _decoding(overrides: DecodingOverrides, decoding: Decoding) -> Decoding:
    return overrides.over(decoding)


def generation(context: RunContext, outcome: Outcome, worker: str) -> Row:
    """The row that keeps a call, whether it was answered or failed."""
    prepared, result = outcome.prepared, outcome.result
    answer = result if isinstance(result, Answer) else None
    error = result if isinstance(result, LMError) else None
    return {
        "id": prepared.generation_id,
        "run_id": context.run_id,
        "work_item_id": prepared.claim.id,
        "attempt": prepared.claim.attempt,
        "stage": prepared.claim.stage,
        "task_type": prepared.claim.task_type,
        "model_id": context.model_ids[prepared.model],
        "endpoint": result.endpoint,
        "server_id": answer and _server_key(context.model_ids[prepared.model], answer.served),
        "template_id": template_key(prepared.template.sha256),
        "seed_task_ids": _keys(prepared, DemonstrationKind.SEED),
        "instruction_ids": _keys(prepared, DemonstrationKind.INSTRUCTION),
        "prompt": prepared.call.prompt,
        "parameters": parameters.to_row(prepared.call.decoding, prepared.call.stop, prepared.call.chat),
        "seed": prepared.call.seed,
        "response": answer and answer.text,
        "finish_reason": answer and answer.finish_reason,
        "fault": error and error.fault,
        "detail": error and error.detail,
        "prompt_tokens": answer and answer.prompt_tokens,
        "completion_tokens": answer and answer.completion_tokens,
        "latency_s": outcome.latency_s,
        "worker": worker,
    }


def server(context: RunContext, model: str, served: Description) -> dict[str, Any]:
    """The row of a server, as it described itself."""
    model_id = context.model_ids[model]
    return {
        "id": _server_key(model_id, served),
        "model_id": model_id,
        "endpoint": served.endpoint,
        "served_model": served.model_id,
        "model_revision": served.model_revision,
        "server_version": served.server_version,
        "max_input_tokens": served.max_input_tokens,
        "max_total_tokens": served.max_total_tokens,
    }


@lru_cache(maxsize=256)
def _server_key(model_id: uuid.UUID, served: Description) -> uuid.UUID:
    return key("server", model_id, *astuple(served))


def _keys(prepared: PreparedCall, kind: DemonstrationKind) -> list[str]:
    return [each.key for each in prepared.demonstrations if each.kind is kind]
