"""A proposal's way through the stages as a trace: its calls, the gate, the verdict.

Told after the commit that writes what came of them, so once for each. Span ids are made of the keys of work and
instructions, so each step knows its parent's.
"""

import uuid
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.lm.protocol import Answer
from shared.method.tasks import Stage, TaskType
from shared.store.keys import ordinal, position
from shared.store.loading import RunContext
from shared.store.new_records import NewExample, NewInstruction, NewVerdict
from shared.store.work import Claim, work_key
from shared.telemetry.steps import Attribute, Step, span_id, trace_id
from workers.calls import Outcome
from workers.naming import of_run

if TYPE_CHECKING:  # it needs OpenTelemetry, which is there if it is wanted
    from shared.telemetry.otlp import Traces

OWN = "ensemble_instruct."


@lru_cache(maxsize=65_536)
def trace_of(run_id: uuid.UUID, task_type: TaskType, at: int) -> int:
    """The trace of all that came of the proposal to which a position belongs."""
    return trace_id(run_id, task_type, ordinal(at))


def tell_calls(
    traces: "Traces",
    context: RunContext,
    outcomes: Sequence[Outcome],
    held: Collection[uuid.UUID],
    postponed: Collection[uuid.UUID],
) -> None:
    """Tell of calls whose end was written, and of tries in vain."""
    kept = [each for each in outcomes if each.prepared.claim.id in held]
    traces.tell(
        _call(context, each, last=each.prepared.claim.id not in postponed)
        for each in kept
        if traces.wants(_trace(each.prepared.claim))
    )


def tell_given_up(traces: "Traces", context: RunContext, claims: Sequence[Claim], fault: str, at: float) -> None:
    """Tell of work that was given up without a call."""
    traces.tell(
        Step(
            trace=_trace(claim),
            id=span_id(claim.id),
            parent=_parent(claim),
            name=f"give up {claim.stage}",
            began=at,
            ended=at,
            attributes=_attributes(context, claim),
            fault=fault,
        )
        for claim in claims
        if traces.wants(_trace(claim))
    )


def tell_gate(
    traces: "Traces", context: RunContext, instructions: Sequence[NewInstruction], began: float, ended: float
) -> None:
    """Tell of instructions that have passed the gate, or not."""
    traces.tell(_gate(context, each, began, ended) for each in instructions if traces.wants(_gate_trace(each)))


def tell_verdicts(
    traces: "Traces",
    context: RunContext,
    verdicts: Sequence[tuple[Claim, NewVerdict]],
    examples: Sequence[NewExample],
    began: float,
    ended: float,
) -> None:
    """Tell of verdicts, and of the examples that they made."""
    made = {each.verdict_id: each for each in examples}
    traces.tell(
        _verdict(context, claim, verdict, made.get(verdict.id), began, ended)
        for claim, verdict in verdicts
        if traces.wants(_trace(claim))
    )


def _trace(claim: Claim) -> int:
    return trace_of(claim.run_id, claim.task_type, claim.position)


def _gate_trace(instruction: NewInstruction) -> int:
    return trace_of(instruction.run_id, TaskType(instruction.task_type), instruction.position)


def _parent(claim: Claim) -> int | None:
    """The step that a piece of work follows from: a proposal from none, a verdict from the instance that it is on."""
    if claim.stage is Stage.INSTRUCTION:
        return None
    if claim.stage is Stage.INSTANCE:
        return span_id("gate", claim.instruction_id)
    return span_id(work_key(claim.run_id, Stage.INSTANCE, claim.task_type, claim.position))


def _call(context: RunContext, outcome: Outcome, *, last: bool) -> Step:
    """A try that is not the last of its work is another span beside the last; of a proposal, beneath it."""
    claim, result = outcome.prepared.claim, outcome.result
    own, parent = span_id(claim.id), _parent(claim)
    attributes = {**_attributes(context, claim), **_asked(context, outcome)}
    if isinstance(result, Answer):
        attributes |= _answered(result)
    return Step(
        trace=_trace(claim),
        id=own if last else span_id(claim.id, claim.attempt),
        parent=parent if last or parent is not None else own,
        name=f"{attributes['gen_ai.operation.name']} {attributes['gen_ai.request.model']}",
        began=outcome.ended_at - outcome.latency_s,
        ended=outcome.ended_at,
        attributes=attributes,
        fault=None if isinstance(result, Answer) else result.fault,
        is_call=True,
    )


def _gate(context: RunContext, instruction: NewInstruction, began: float, ended: float) -> Step:
    proposal = position(ordinal(instruction.position))
    task_type = TaskType(instruction.task_type)
    similarity = instruction.max_similarity
    return Step(
        trace=_gate_trace(instruction),
        id=span_id("gate", instruction.id),
        parent=span_id(work_key(instruction.run_id, Stage.INSTRUCTION, task_type, proposal)),
        name="novelty gate",
        began=began,
        ended=ended,
        attributes={
            **_own(context, task_type, instruction.position),
            f"{OWN}instruction": str(instruction.id),
            f"{OWN}state": instruction.state,
            **({f"{OWN}reason": instruction.reason} if instruction.reason else {}),
            **({} if similarity is None else {f"{OWN}max_similarity": similarity}),
        },
    )


def _verdict(
    context: RunContext, claim: Claim, verdict: NewVerdict, example: NewExample | None, began: float, ended: float
) -> Step:
    return Step(
        trace=_trace(claim),
        id=span_id(claim.id),
        parent=_parent(claim),
        name="verdict",
        began=began,
        ended=ended,
        attributes={
            **_attributes(context, claim),
            f"{OWN}rule": context.job.consensus.rule,
            f"{OWN}candidates": len(verdict.candidate_ids),
            f"{OWN}exact_match": verdict.exact_match,
            f"{OWN}state": verdict.state,
            **({f"{OWN}reason": verdict.reason} if verdict.reason else {}),
            **({f"{OWN}example": str(example.id)} if example else {}),
        },
    )


def _own(context: RunContext, task_type: TaskType, at: int) -> dict[str, Attribute]:
    told: dict[str, Attribute] = {f"{OWN}{name}": value for name, value in of_run(context).items()}
    return {**told, f"{OWN}task_type": task_type, f"{OWN}position": at}


def _attributes(context: RunContext, claim: Claim) -> dict[str, Attribute]:
    told = _own(context, claim.task_type, claim.position)
    told |= {f"{OWN}stage": claim.stage, f"{OWN}work_item": str(claim.id), f"{OWN}attempt": claim.attempt}
    if claim.voice:
        told[f"{OWN}voice"] = claim.voice
    return told


def _asked(context: RunContext, outcome: Outcome) -> dict[str, Attribute]:
    """By OpenTelemetry's conventions for generative AI; prompts and answers are in Postgres, not here."""
    call, name = outcome.prepared.call, outcome.prepared.model
    spec = context.job.models[name]
    address = urlsplit(outcome.result.endpoint)
    told: dict[str, Attribute] = {
        "gen_ai.operation.name": "chat" if call.chat else "text_completion",
        "gen_ai.provider.name": spec.protocol,
        "gen_ai.request.model": spec.model or name,
        "gen_ai.request.max_tokens": call.decoding.max_new_tokens,
        "gen_ai.request.temperature": call.decoding.temperature,
        "gen_ai.request.top_k": call.decoding.top_k,
        "gen_ai.request.top_p": call.decoding.top_p,
        "server.address": address.hostname or "",
        f"{OWN}model": name,
    }
    if address.port:
        told["server.port"] = address.port
    if call.seed is not None:
        told["gen_ai.request.seed"] = call.seed
    return told


def _answered(answer: Answer) -> Iterator[tuple[str, Attribute]]:
    yield "gen_ai.response.finish_reasons", (answer.finish_reason,)
    if answer.served.model_id is not None:
        yield "gen_ai.response.model", answer.served.model_id
    if answer.prompt_tokens is not None:
        yield "gen_ai.usage.input_tokens", answer.prompt_tokens
    if answer.completion_tokens is not None:
        yield "gen_ai.usage.output_tokens", answer.completion_tokens
