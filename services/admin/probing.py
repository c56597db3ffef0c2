"""A short probe: a job's models are really called a few times, as a run's workers would call them."""

import asyncio
import time
from asyncio import Semaphore
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from services.admin.planning import Plan
from services.admin.probed import Probed, ProbedCall, Tallies
from shared.job import OWN_VOICE, JobSpec, ModelKind
from shared.lm.connect import connect
from shared.lm.errors import LMError
from shared.lm.protocol import Answer, Call, FinishReason, LanguageModel
from shared.method.decoding import DecodingOverrides
from shared.method.filters import Rejection, instance_rejection, instruction_rejection, output_rejection
from shared.method.novelty import NoveltyIndex
from shared.method.parsing import (
    ParsedInstance,
    parse_instance_with_input,
    parse_instance_without_input,
    parse_instructions,
    parse_output,
)
from shared.method.prompts import PromptTemplate, render
from shared.method.sampling import (
    KeyedSeed,
    call_seed,
    sample_instance_demonstrations,
    sample_instruction_demonstrations,
)
from shared.method.tasks import Demonstration, Stage, TaskType

Tell = Callable[[int], None]


def probe(plan: Plan, count: int, told: Tell) -> Probed:
    """Make `count` calls of each stage for each task type; an LM's error is a result, too. `told` hears of calls."""
    return asyncio.run(_probe(plan, count, told))


def calls_to_make(job: JobSpec, count: int) -> int:
    """How many calls a probe makes at most."""
    return len(job.targets) * count * (2 + len(job.outputs))


async def _probe(plan: Plan, count: int, told: Tell) -> Probed:
    line = _Line(plan.job, {name: connect(spec) for name, spec in plan.job.models.items()}, told)
    try:
        probes = [_TypeProbe(plan, task_type, line) for task_type in plan.job.targets]
        await asyncio.gather(*(each.run(count) for each in probes))
    finally:
        for model in line.models.values():
            await model.close()
    return Probed(line.calls, {each.task_type: each.tallies for each in probes})


@dataclass
class _Line:
    """The way to the models: no more calls at once than the job allows, each noted."""

    job: JobSpec
    models: dict[str, LanguageModel]
    told: Tell
    calls: list[ProbedCall] = field(default_factory=list)
    _windows: dict[object, Semaphore] = field(default_factory=dict)

    async def ask(self, stage: Stage, task_type: TaskType, model: str, template: str, call: Call) -> Answer | None:
        """A model's answer; `None` if there is none."""
        async with self._window(model):
            begin = time.perf_counter()
            result: Answer | LMError
            try:
                result = await self.models[model].generate(call)
            except LMError as error:
                result = error
            self.calls.append(ProbedCall(stage, task_type, model, template, begin, time.perf_counter(), result))
            self.told(1)
        return result if isinstance(result, Answer) else None

    def _window(self, model: str) -> Semaphore:
        spec = self.job.models[model]
        place = (spec.model, frozenset(spec.urls))
        return self._windows.setdefault(place, Semaphore(spec.max_in_flight))


@dataclass(frozen=True, slots=True)
class _Instance:
    number: int
    instruction: str
    input: str
    output: str


@dataclass
class _TypeProbe:
    """The probe of one task type, stage after stage."""

    plan: Plan
    task_type: TaskType
    line: _Line
    tallies: Tallies = field(default_factory=Tallies)

    async def run(self, count: int) -> None:
        """Propose instructions; make instances for the accepted ones, and if those are too few for seeds'; have all
        voices answer, and judge."""
        proposed = await asyncio.gather(*(self._propose(number) for number in range(count)))
        accepted = list(self._gate(proposed))
        seeds = [seed.task.instruction for seed in self._seeds]
        instructions = [*accepted, *seeds][:count]
        made = await asyncio.gather(*(self._make(*each) for each in enumerate(instructions)))
        await asyncio.gather(*(self._judge(each) for each in made if each))

    @property
    def _seeds(self) -> list[KeyedSeed]:
        return [KeyedSeed(seed.id, seed) for seed in self.plan.seeds if seed.task_type is self.task_type]

    @property
    def _key(self) -> str:
        return f"{self.plan.job.seed}.{self.task_type}"

    async def _propose(self, number: int) -> Answer | None:
        """Seeds stand in for the accepted instructions that a run would show."""
        stage = self.plan.job.instructions
        template = self._template(stage.prompts[self.task_type])
        shown = stage.demonstrations[self.task_type]
        demonstrations = sample_instruction_demonstrations(
            self._seeds, [], n_seeds=shown.seeds + shown.generated, key=self._key, ordinal=number, reuse=stage.reuse
        )
        stop = template.stop_for(stage.harvest)
        return await self._ask(stage.model, template, stage.decoding, stop, demonstrations, number)

    def _gate(self, answers: Sequence[Answer | None]) -> list[str]:
        """The instructions that pass the filters, and are novel to the seeds and each other."""
        job = self.plan.job.instructions
        accepted: list[str] = []
        index = NoveltyIndex(job.novelty_threshold)
        for seed in self._seeds:
            index.add(seed.key, seed.task.instruction)
        for answer in answers:
            if answer is None:
                continue
            reasons: list[str | None] = []
            truncated = _is_truncated(answer)
            for parsed in parse_instructions(answer.text, job.harvest, truncated=truncated):
                reason = instruction_rejection(parsed.text, job.limits, truncated=parsed.truncated)
                if reason is None and index.nearest_above(parsed.text):
                    reason = Rejection.NOT_NOVEL
                if reason is None:
                    index.add(f"proposal {len(accepted)}", parsed.text)
                    accepted.append(parsed.text)
                reasons.append(reason)
            self.tallies.instructions.count(*reasons)
        return accepted

    async def _make(self, number: int, instruction: str) -> _Instance | None:
        stage = self.plan.job.instances
        template = self._template(stage.prompts[self.task_type])
        shown = self._demonstrations(number)
        answer = await self._ask(
            stage.model, template, stage.decoding, template.stop, shown, number, instruction=instruction
        )
        if answer is None:
            return None
        parsed = self._parsed(instruction, answer)
        if isinstance(parsed, Rejection):
            self.tallies.instances.count(parsed)
            return None
        self.tallies.instances.count(None)
        return _Instance(number, instruction, parsed.input, parsed.output)

    def _parsed(self, instruction: str, answer: Answer) -> ParsedInstance | Rejection:
        with_input = self.task_type is TaskType.INPUT_OUTPUT
        parse = parse_instance_with_input if with_input else parse_instance_without_input
        parsed = parse(answer.text, truncated=_is_truncated(answer))
        if isinstance(parsed, Rejection):
            return parsed
        limits = self.plan.job.instances.limits
        return instance_rejection(instruction, parsed.input, parsed.output, self.task_type, limits) or parsed

    def _demonstrations(self, number: int) -> tuple[Demonstration, ...]:
        stage = self.plan.job.instances
        return sample_instance_demonstrations(
            self._seeds, n_seeds=stage.demonstrations[self.task_type], key=self._key, ordinal=number, reuse=stage.reuse
        )

    async def _judge(self, made: _Instance) -> None:
        voices = [voice.label for voice in self.plan.job.outputs]
        outputs = await asyncio.gather(*(self._answer(made, label) for label in voices))
        said = dict(zip(voices, outputs, strict=True))
        usable = {OWN_VOICE: made.output} | {label: text for label, text in said.items() if text is not None}
        judgement = self.plan.job.terms.judge(list(usable), list(usable.values()))
        self.tallies.verdicts.count(judgement.reason)

    async def _answer(self, made: _Instance, label: str) -> str | None:
        """A voice's usable output."""
        job = self.plan.job
        voice = next(each for each in job.outputs if each.label == label)
        template = self._template(job.voice_prompt(voice))
        values = {"instruction": made.instruction, "input": made.input}
        shown = self._demonstrations(made.number)
        answer = await self._ask(
            voice.model, template, voice.decoding, template.stop, shown, made.number, voice=label, **values
        )
        parsed = parse_output(answer.text, truncated=_is_truncated(answer)) if answer else Rejection.TRUNCATED
        if isinstance(parsed, Rejection):
            return None
        reason = output_rejection(made.instruction, made.input, parsed.text, job.instances.limits)
        return None if reason else parsed.text

    def _template(self, id: str) -> PromptTemplate:
        return next(template for template in self.plan.templates if template.id == id)

    async def _ask(
        self,
        model: str,
        template: PromptTemplate,
        overrides: DecodingOverrides,
        stop: tuple[str, ...],
        shown: tuple[Demonstration, ...],
        number: int,
        voice: str | None = None,
        **values: str,
    ) -> Answer | None:
        job = self.plan.job
        call = Call(
            prompt=render(template, shown if template.shows_demonstrations else (), **values),
            decoding=overrides.over(template.decoding),
            stop=stop,
            seed=call_seed(job.seed, template.stage, self.task_type, number, voice),
            chat=job.models[model].kind is ModelKind.INSTRUCT,
        )
        return await self.line.ask(template.stage, self.task_type, model, template.id, call)


def _is_truncated(answer: Answer) -> bool:
    return answer.finish_reason is FinishReason.LENGTH
