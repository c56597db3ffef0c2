from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared.job import JobSpec
from shared.job_file import JobError, OverrideError, read_job

TEMPLATE = Path(__file__).parents[2] / "jobs" / "template.yaml"
JOB = TEMPLATE.read_text()


def read(folder: Path, content: str | bytes, *overrides: str) -> JobSpec:
    """The job that a file of this content holds."""
    path = folder / "job.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return read_job(path, overrides)


def faults(folder: Path, content: str | bytes, *overrides: str) -> list[str]:
    """What is wrong with it, a line each."""
    with pytest.raises(JobError) as error:
        read(folder, content, *overrides)
    assert str(error.value).startswith(f"{folder / 'job.yaml'} is not a job that can run:\n  ")
    return [str(fault) for fault in error.value.faults]


def test_the_template_is_a_job(tmp_path: Path) -> None:
    job = read(tmp_path, JOB)
    assert (job.name, job.models["writer"].urls) == ("my-dataset", ("http://localhost:8080",))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "it is empty; `ensemble-instruct init` writes a job to edit"),
        ("# nothing", "it is empty; `ensemble-instruct init` writes a job to edit"),
        ("- a\n- b", "it is not a mapping; `ensemble-instruct init` writes a job to edit"),
        ("a: [1\nb: 2", "line 2: it is not YAML: expected ',' or ']', but got ':'"),
        ("a: 1\n---\nb: 2", "line 2: it is not YAML: but found another document"),
        ("a: *nothing", "line 1: it is not YAML: found undefined alias 'nothing'"),
        ("name: a\nmodels:\n  name: b\nname: c", "name (line 4): stands in line 1 already"),
        ("a: {b: 1,\n b: 2}", "a.b (line 2): stands in line 1 already"),
        ("a: 1\nb: 2026-13-45", "b (line 2): YAML can't tell what this is; put it in quotes"),
        ("a: !!int x", "a (line 1): YAML can't tell what this is; put it in quotes"),
        ("a: !!python/name:os.system x", "a (line 1): YAML can't tell what this is; put it in quotes"),
        ("a: " + "9" * 5000, "a (line 1): YAML can't tell what this is; put it in quotes"),
        ("? [a]\n: b", "line 1: it is not YAML: found unhashable key"),
        ("2026-13-45: b", "it is not YAML: month must be in 1..12"),
        (b"a: 1\nb: \xff", "line 2: it is not UTF-8; save it as such"),
        ("[" * 5000, "it is nested too deeply for a job"),
        ("a: &a [*a]", "it is nested too deeply for a job"),
        ("x" * 300_000, "it is longer than 256 KiB; is it the right file?"),
    ],
)
def test_what_is_no_yaml_for_a_job(tmp_path: Path, content: str | bytes, told: str) -> None:
    assert faults(tmp_path, content) == [told]


def test_a_yaml_bomb_is_told_by_its_size(tmp_path: Path) -> None:
    levels = ["a0: &a0 [" + "x," * 10 + "]"]
    levels += [f"a{level}: &a{level} [" + f"*a{level - 1}," * 10 + "]" for level in range(1, 30)]
    assert faults(tmp_path, "\n".join(levels)) == ["it holds more than 20000 keys and values, aliases counted in full"]


def test_anchors_and_merge_keys_are_fine(tmp_path: Path) -> None:
    server = "{protocol: openai, kind: vanilla, endpoints: [http://h]}"
    merged = JOB.replace("models:", f"models:\n  one: &one {server}\n  two:\n    <<: *one\n    kind: instruct")
    models = read(tmp_path, merged).models
    assert (models["two"].kind, models["two"].endpoints) == ("instruct", models["one"].endpoints)


@pytest.mark.parametrize("name", ["nowhere.yaml", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(JobError, match="it can't be read: "):
        read_job(tmp_path / name)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    job = read(tmp_path, JOB, "seeds=../mine.jsonl", "prompts=/own")
    assert (job.seeds, job.prompts) == (tmp_path.parent / "mine.jsonl", Path("/own"))


def place_of(text: str) -> int:
    """The line of the template that begins with this text."""
    return next(number for number, line in enumerate(JOB.splitlines(), 1) if line.startswith(text))


def test_every_fault_is_told_with_its_line(tmp_path: Path) -> None:
    content = (
        JOB.replace("seed: 0", "sead: 0").replace("protocol: tgi", "protocol: tgl").replace("model: writer", "x: 1")
    )
    told = faults(tmp_path, content)
    assert f"sead (line {place_of('seed:')}): there is no such setting; check its spelling" in told
    assert f"models.writer.protocol (line {place_of('models:') + 2}): Input should be 'tgi' or 'openai'" in told
    assert f"instructions.model (line {place_of('instructions:')}): is missing" in told
    assert f"outputs.0.x (line {place_of('outputs:') + 1}): there is no such setting; check its spelling" in told


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("models.writer.endpoints=[]", "models.writer.endpoints (--set): name at least one"),
        ("models.writer.endpoints=[ftp://h]", "models.writer.endpoints.0 (--set): URL scheme should be 'http' or"),
        (
            "models.writer.endpoints=[127.0.0.1:53505]",
            "models.writer.endpoints.0 (--set): is no whole address; write http://127.0.0.1:53505",
        ),
        (
            "models.writer.endpoints=[localhost:80]",
            "models.writer.endpoints.0 (--set): is no whole address; write http://localhost:80",
        ),
        ("models.writer.endpoints=[me:key@h]", "models.writer.endpoints.0 (--set): URL scheme should be 'http' or"),
        ("models.writer.endpoints=[http://me:key@h]", "models.writer.endpoints.0 (--set): holds a login, and"),
        ('models.writer.endpoints=["http://h?key=1"]', "models.writer.endpoints.0 (--set): ends with a query or"),
        ("models.writer.model=", None),
        ('models.writer.model=""', "models.writer.model (--set): should be a line of text"),
        ('models.writer.licence="a\\nb"', "models.writer.licence (--set): should be a line of text"),
        ("models.writer.api_key_env=my key", "models.writer.api_key_env (--set): String should match pattern"),
        ("models.writer.max_in_flight=0", "models.writer.max_in_flight (--set): Input should be greater than"),
        (
            "targets.output_only=0",
            "targets.output_only (--set): must be 1 or more; to make none of a type, leave it out",
        ),
        ("targets.output_only=true", "targets.output_only (--set): Input should be a valid integer"),
        ("targets.output_only=9999999999", "targets.output_only (--set): Input should be less than or equal to"),
        ("targets={}", "targets (--set): name at least one"),
        ("models={}", "models (--set): name at least one"),
        ("imported={files: [{voice: instance, name: a, sha256: b}]}", "imported (--set): a job makes what it says"),
        ("targets.sonnets=3", "targets.sonnets (--set): Input should be 'input_output' or 'output_only'"),
        ("instructions.novelty_threshold=.nan", "instructions.novelty_threshold (--set): Input should be a finite"),
        ("retry.backoff_s=.inf", "retry.backoff_s (--set): Input should be a finite number"),
        ("instructions.demonstrations.output_only.generated=-1", "instructions.demonstrations.output_only.generated"),
        ("instances.demonstrations.output_only=0", "instances.demonstrations.output_only (--set): Input should be"),
        ("outputs.0.weight=0", "outputs.0.weight (--set): Input should be greater than 0"),
        ("outputs.0.weight=.inf", "outputs.0.weight (--set): Input should be a finite number"),
        ("instances.weight=1001", "instances.weight (--set): Input should be less than or equal to 1000"),
        ("instances.weight=0.5", None),
        ("models.writer.family=Llama 2", "models.writer.family (--set): a name is of small letters"),
        ("models.writer.family=llama", None),
        ("outputs.0.prompt=", None),
        ('outputs.0.prompt=""', "outputs.0.prompt (--set): a name is of small letters"),
        ("outputs.0.name=instance", "outputs.0 (line 35): 'instance' is what the instance's own output is called"),
        ("outputs.1.model=writer", "outputs.1 (line 36): the voice 'writer' speaks twice; give it a `name`"),
        ("outputs.1={model: writer, name: again}", "outputs.1 (--set): asks the same model the same thing"),
        ("outputs.1={model: writer, name: again, prompt: output_few_shot}", "outputs.1 (--set): asks the same"),
        ("outputs.1={model: writer, name: again, decoding: {temperature: 1}}", None),
        ("outputs.1={model: writer, name: again, prompt: output_zero_shot}", None),
        ("outputs.1.model=nobody", "outputs.1.model (--set): there is no model 'nobody'; models: answerer, writer"),
        ("outputs=[]", "outputs (--set): a consensus needs a voice besides the instance's own"),
        ("consensus.min_candidates=4", "consensus.min_candidates (--set): the job has only 3 voices"),
        ("consensus.rule=best", "consensus.rule (--set): Input should be 'ensemble-instruct'"),
        ('seeds="a\\0b"', "seeds (--set): holds a NUL or half a surrogate pair"),
        ('prompts="a\\ud800b"', "prompts (--set): holds a NUL or half a surrogate pair"),
        ('instructions.limits.unsuitable_words=["\\0"]', "instructions.limits.unsuitable_words.0 (--set): holds a NUL"),
    ],
)
def test_a_setting_is_checked(tmp_path: Path, override: str, told: str | None) -> None:
    if told is None:
        read(tmp_path, JOB, override)
        return
    (fault,) = faults(tmp_path, JOB, override)
    assert fault.startswith(told)
    assert "key@" not in fault


def test_voices_of_one_family_have_nobody_to_agree_with(tmp_path: Path) -> None:
    akin = ("models.writer.family=llama", "models.answerer.family=llama")
    (fault,) = faults(tmp_path, JOB, *akin)
    assert fault.startswith(f"outputs (line {place_of('outputs:')}): every voice is of the family 'llama', which has")
    assert read(tmp_path, JOB, *akin, "consensus.rule=none").consensus.rule == "none"


def test_no_consensus_needs_no_voice(tmp_path: Path) -> None:
    assert read(tmp_path, JOB, "outputs=[]", "consensus.rule=none").outputs == ()


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("targets", "it has no '='"),
        ("=3", "it has no path"),
        ("name={a: *x}", "the value is not YAML"),
        ("name.first=x", "the job has no such place"),
        ("outputs.7.model=writer", "the job has no such place"),
        ("outputs.first.model=writer", "the job has no such place"),
        ("name=2026-13-45", "or the value is malformed"),
        ("name=" + "[" * 5000, "the value is not YAML"),
    ],
)
def test_an_override_that_leads_nowhere(tmp_path: Path, override: str, reason: str) -> None:
    with pytest.raises(OverrideError) as error:
        read(tmp_path, JOB, override)
    assert reason in str(error.value)
    assert "write it as path=value" in str(error.value)


def test_overrides_reach_into_lists_and_make_what_is_not_there(tmp_path: Path) -> None:
    job = read(tmp_path, JOB, "outputs.1.decoding.temperature=0.5", "instructions.demonstrations.output_only.seeds=5")
    assert job.outputs[1].decoding.temperature == 0.5
    shown = {kind: (each.seeds, each.generated) for kind, each in job.instructions.demonstrations.items()}
    assert shown == {"input_output": (20, 4), "output_only": (5, 2)}


def test_an_overridden_setting_is_no_longer_blamed_on_the_file(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, JOB, "models.writer={protocol: tgi, kind: vanilla}")
    assert fault == "models.writer.endpoints (--set): is missing"


def test_what_a_row_keeps_is_the_same_job(tmp_path: Path) -> None:
    job = read(tmp_path, JOB, "instances.demonstrations.output_only=3", "outputs.0.name=base")
    assert JobSpec.model_validate(job.model_dump(mode="json")) == job


anything: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(content=st.text() | st.binary() | anything.map(yaml.safe_dump))
def test_no_file_raises_anything_else(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    assert faults(tmp_path_factory.getbasetemp(), content)


@given(field=st.sampled_from(sorted(JobSpec.model_fields)), value=anything)
def test_no_value_of_a_field_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: Any
) -> None:
    content = yaml.safe_dump({**yaml.safe_load(JOB), field: value})
    with suppress(JobError):
        assert read(tmp_path_factory.getbasetemp(), content).name
