"""The job's defaults are the paper's, and its fingerprint knows what decides the rows."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from shared.job import JobSpec
from shared.job_identity import fingerprint
from shared.method.consensus import Rule

PROJECT = Path(__file__).parents[2]
CONTENT = yaml.safe_load((PROJECT / "jobs" / "template.yaml").read_text())
PROMPTS = {
    id: f"sha256 of {id}"
    for id in (
        *("instruction_input_output", "instruction_output_only", "instance_input_output", "instance_output_only"),
        *("output_zero_shot", "output_few_shot", "own"),
    )
}

# A value other than the template's for each setting, and whether it can change which rows a run makes.
SETTINGS: dict[str, tuple[Any, bool]] = {
    "name": ("other", False),
    "owner": ("somebody", False),
    "share": (3, False),
    "seed": (1, True),
    "seeds": ("other.jsonl", False),  # its content counts
    "prompts": ("other", False),
    "targets": ({"output_only": 1}, True),
    "models.writer.protocol": ("openai", True),
    "models.writer.kind": ("instruct", True),
    "models.writer.endpoints": (["http://elsewhere"], False),
    "models.writer.model": ("other", True),
    "models.writer.licence": ("mit", True),
    "models.writer.family": ("llama", True),
    "models.writer.api_key_env": ("KEY", False),
    "models.writer.max_in_flight": (1, False),
    "models.writer.timeout_s": (1, False),
    "instructions.model": ("answerer", True),
    "instructions.prompts": ({"output_only": "own"}, True),
    "instructions.decoding.temperature": (0.1, True),
    "instructions.decoding.top_k": (1, True),
    "instructions.decoding.top_p": (0.1, True),
    "instructions.decoding.max_new_tokens": (1, True),
    "instructions.demonstrations.output_only.seeds": (1, True),
    "instructions.demonstrations.output_only.generated": (1, True),
    "instructions.harvest": (2, True),
    "instructions.limits.min_words": (1, True),
    "instructions.limits.max_words": (99, True),
    "instructions.limits.unsuitable_words": ([], True),
    "instructions.limits.program_starts": ([], True),
    "instructions.limits.punctuation_start": (True, True),
    "instructions.limits.non_ascii_start": (True, True),
    "instructions.novelty_threshold": (0.5, True),
    "instructions.novelty_scope": ("all", True),
    "instructions.reuse": (2, True),
    "instructions.lookahead": (1, True),
    "instructions.patience": (1, True),
    "instances.model": ("answerer", True),
    "instances.prompts": ({"output_only": "own"}, True),
    "instances.decoding.temperature": (0.1, True),
    "instances.decoding.top_k": (1, True),
    "instances.decoding.top_p": (0.1, True),
    "instances.decoding.max_new_tokens": (1, True),
    "instances.limits.input_placeholders": ([], True),
    "instances.limits.output_placeholders": ([], True),
    "instances.limits.colon_end": (True, True),
    "instances.demonstrations": ({"output_only": 1}, True),
    "instances.reuse": (2, True),
    "instances.weight": (2, True),
    "outputs.0.model": ("answerer", True),
    "outputs.0.name": ("other", True),
    "outputs.0.prompt": ("own", True),
    "outputs.0.decoding.temperature": (0.1, True),
    "outputs.0.decoding.top_k": (1, True),
    "outputs.0.decoding.top_p": (0.1, True),
    "outputs.0.decoding.max_new_tokens": (1, True),
    "outputs.0.weight": (2, True),
    "consensus.rule": ("majority", True),
    "consensus.threshold": (0.5, True),
    "consensus.min_candidates": (3, True),
    "retry.failures": (1, False),
    "retry.timeouts": (1, False),
    "retry.overloads": (1, False),
    "retry.crashes": (1, False),
    "retry.gone_after_s": (9, False),
    "retry.backoff_s": (9, False),
    "retry.backoff_cap_s": (99, False),
    "budget.generations": (9, False),
    "budget.tokens": (9, False),
    "budget.hours": (9, False),
}
PLACES = {"models": "writer", "outputs": "0", "instructions.demonstrations": "output_only"}


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting below a model, by its path in a job."""
    for name, field in model.model_fields.items():
        path = prefix + name
        sections = [each for each in _types_in(field.annotation) if issubclass(each, BaseModel)]
        for section in sections:
            yield from settings_of(section, f"{path}.{PLACES[path]}." if path in PLACES else f"{path}.")
        if not sections:
            yield path


def _types_in(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for inner in get_args(annotation):
        yield from _types_in(inner)


def changed(path: str, value: Any) -> JobSpec:
    """The template's job with one setting changed."""
    content = yaml.safe_load(yaml.safe_dump(CONTENT))
    *parents, last = path.split(".")
    place = content
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    place[last] = value
    return JobSpec.model_validate(content)


def the_fingerprint(job: JobSpec, seeds: str = "seeds", **prompts: str) -> str:
    """A job's fingerprint, with these digests."""
    return fingerprint(job, seeds, {**PROMPTS, **prompts})


TEMPLATE_JOB = JobSpec.model_validate(CONTENT)
TEMPLATE = the_fingerprint(TEMPLATE_JOB)


def test_no_setting_is_forgotten_here() -> None:
    settings = [path for path in settings_of(JobSpec) if not path.startswith("imported.")]
    assert set(settings) == set(SETTINGS)


def test_the_reference_of_jobs_is_a_job_with_every_setting() -> None:
    written = (PROJECT / "docs" / "job.md").read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    with_comments = re.sub(r"^( *)# (?=[a-z_]+:|- model:|  [a-z_]+:)", r"\1", written, flags=re.MULTILINE)
    for text in (written, with_comments):
        JobSpec.model_validate(yaml.safe_load(text))
    content = yaml.safe_load(with_comments)
    assert [path for path in SETTINGS if not is_said(content, path.split("."))] == []


def is_said(content: Any, path: list[str]) -> bool:
    """Whether a job says something of a setting, of whatever model or voice."""
    if not path:
        return True
    if path[0] in PLACES.values():
        each = content if isinstance(content, list) else content.values()
        return any(is_said(inner, path[1:]) for inner in each)
    return path[0] in content and is_said(content[path[0]], path[1:])


@pytest.mark.parametrize("path", SETTINGS)
def test_the_fingerprint_changes_with_what_can_change_rows(path: str) -> None:
    value, matters = SETTINGS[path]
    job = changed(path, value)
    assert job != TEMPLATE_JOB
    assert (the_fingerprint(job) != TEMPLATE) is matters


IMPORTED_FILE = {"voice": "instance", "name": "a.jsonl", "sha256": "00", "source": "Alpaca", "licence": "mit"}


@pytest.mark.parametrize(
    "changes",
    [
        {"filtered": True},
        *({"files": [{**IMPORTED_FILE, name: "other"}]} for name in IMPORTED_FILE),
        {"files": [IMPORTED_FILE, {**IMPORTED_FILE, "voice": "second"}]},
    ],
)
def test_the_fingerprint_of_an_imported_run_changes_with_whatever_was_imported(changes: dict[str, Any]) -> None:
    jobs = [changed("imported", {"files": [IMPORTED_FILE], **each}) for each in ({}, changes)]
    assert the_fingerprint(jobs[0]) != the_fingerprint(jobs[1])


def test_imported_files_are_voices_before_those_of_lms() -> None:
    job = changed("imported", {"files": [IMPORTED_FILE, {**IMPORTED_FILE, "voice": "second"}]})
    assert job.voices == {"instance": "imported", "second": "imported", "writer": "writer", "answerer": "answerer"}
    assert job.terms.weights == dict.fromkeys(job.voices, 1)
    assert job.prompt_ids.keys() == {"outputs.0.prompt", "outputs.1.prompt"}


def test_a_job_that_imports_nothing_says_nothing_of_it() -> None:
    assert "imported" not in TEMPLATE_JOB.model_dump(mode="json")


def test_the_fingerprint_changes_with_the_seeds_and_the_templates_in_use() -> None:
    assert the_fingerprint(TEMPLATE_JOB, seeds="other") != TEMPLATE
    for id in PROMPTS:
        assert (the_fingerprint(TEMPLATE_JOB, **{id: "other"}) != TEMPLATE) is (id != "own")


def test_saying_a_default_aloud_changes_nothing() -> None:
    said = changed("outputs.0.prompt", "output_few_shot")
    said = said.model_copy(update={"instances": changed("instances.demonstrations", {"output_only": 15}).instances})
    assert the_fingerprint(said) == TEMPLATE


def test_the_order_of_mappings_changes_nothing_and_that_of_voices_does() -> None:
    turned = {**CONTENT, "models": dict(reversed(CONTENT["models"].items()))}
    assert the_fingerprint(JobSpec.model_validate(turned)) == TEMPLATE
    other = {**CONTENT, "outputs": CONTENT["outputs"][::-1]}
    assert the_fingerprint(JobSpec.model_validate(other)) != TEMPLATE


def test_the_defaults_are_the_papers() -> None:
    instructions, instances, consensus = TEMPLATE_JOB.instructions, TEMPLATE_JOB.instances, TEMPLATE_JOB.consensus
    shown = {kind: (each.seeds, each.generated) for kind, each in instructions.demonstrations.items()}
    assert shown == {"input_output": (20, 4), "output_only": (8, 2)}
    assert instances.demonstrations == {"input_output": 18, "output_only": 15}
    assert (instructions.novelty_threshold, instructions.harvest) == (0.7, 1)
    assert (instructions.limits.min_words, instructions.limits.max_words) == (4, 150)
    assert not instructions.limits.punctuation_start
    assert not instructions.limits.non_ascii_start
    assert (consensus.rule, consensus.threshold, consensus.min_candidates) == (Rule.ENSEMBLE_INSTRUCT, 0.01, 2)


def test_a_voice_is_asked_as_its_model_was_tuned() -> None:
    prompts = [TEMPLATE_JOB.voice_prompt(voice) for voice in TEMPLATE_JOB.outputs]
    assert prompts == ["output_few_shot", "output_zero_shot"]


def test_a_run_decides_between_all_voices_alike_by_default() -> None:
    terms = TEMPLATE_JOB.terms
    assert terms.weights == {"instance": 1, "writer": 1, "answerer": 1}
    assert terms.families == {}


def test_a_voice_has_its_models_family_and_the_instances_own_has_that_of_its_model() -> None:
    job = changed("models.writer.family", "llama")
    assert job.terms.families == {"instance": "llama", "writer": "llama"}
    weighty = changed("outputs.1.weight", 0.5).model_copy(
        update={"instances": changed("instances.weight", 3).instances}
    )
    assert weighty.terms.weights == {"instance": 3, "writer": 1, "answerer": 0.5}
