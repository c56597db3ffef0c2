"""`ensemble-instruct k8s`: what it writes, and what it refuses."""

import filecmp
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.admin import kubernetes
from services.kubernetes.servers import addresses
from shared.dataset.prompt_files import SHIPPED_PROMPTS
from shared.dataset.seed_files import SHIPPED_SEEDS
from shared.job import JobSpec
from shared.job_file import read_job
from tests.deploy.rendering import container_of, labels_of, render
from tests.integration.admin.command_line import CommandLine

DOCS = Path(kubernetes.__file__).parents[2] / "docs" / "kubernetes.md"
LOCAL = {"endpoints": ["http://localhost:8080"], "model": "example/base"}
BASE = {"protocol": "tgi", "kind": "vanilla", **LOCAL}
CHAT = {
    "protocol": "openai",
    "kind": "instruct",
    "endpoints": ["http://127.0.0.1:8000/", "http://[::1]:8001"],
    "model": "example/chat",
    "max_in_flight": 100,
    "api_key_env": "LOCAL_KEY",
}


def a_job(models: dict[str, Any] | None = None, **more: Any) -> Path:
    """A job file of these models, which all answer."""
    models = models or {"base": BASE, "chat": CHAT}
    first, *_ = models
    content = {
        "name": "sample",
        "targets": {"output_only": 5},
        "models": models,
        "instructions": {"model": first},
        "instances": {"model": first},
        "outputs": [{"model": name} for name in models],
        **more,
    }
    path = Path("job.yaml")
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def in_folder(folder: Path) -> dict[str, bytes]:
    """Every file in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_it_says_where_it_wrote_what_and_what_comes_next(command: CommandLine) -> None:
    outcome = command("k8s", a_job(), "--out", "new/overlay")
    assert (outcome.code, outcome.out) == (0, "new/overlay\n")
    assert "base: 1 server of Text Generation Inference, up to 8 calls each, weights example/base" in outcome.err
    assert "chat: 2 servers of vLLM, up to 50 calls each, weights example/chat" in outcome.err
    assert "120 s for its calls; Kubernetes waits 150 s" in outcome.err
    assert "next: kubectl apply -k new/overlay, then enqueue new/overlay/job/job.yaml" in outcome.err


def test_its_job_differs_in_where_the_models_are_alone(command: CommandLine) -> None:
    before = read_job(a_job(consensus={"rule": "majority"}, seed=7))
    assert command("k8s", "job.yaml", "--set", "targets.output_only=9", "--out", "out").code == 0
    after = read_job(Path("out/job/job.yaml"))
    assert after.models["base"].urls == addresses("base", 1) == ("http://model-server-base-0.model-server-base:8080",)
    assert after.models["chat"].urls == addresses("chat", 2)
    assert after.models["chat"].api_key_env is None  # our own servers want none
    moved = {name: before.models[name].model_dump() for name in before.models}
    for name, model in moved.items():
        model |= {"endpoints": after.models[name].endpoints, "api_key_env": None}
    expected = before.model_dump() | {"models": moved, "targets": {"output_only": 9}}
    assert JobSpec.model_validate(expected) == after


def test_its_own_job_makes_the_same_overlay(command: CommandLine) -> None:
    shared = {**CHAT, "kind": "vanilla"}
    assert command("k8s", a_job({"base": BASE, "chat": CHAT, "plain": shared}), "--out", "one").code == 0
    assert command("k8s", "one/job/job.yaml", "--out", "two").code == 0
    assert in_folder(Path("one")) == in_folder(Path("two"))


def test_models_of_one_server_share_it(command: CommandLine) -> None:
    outcome = command(
        "k8s", a_job({"base": BASE, "twice": {**BASE, "max_in_flight": 30}}), "--out", "out", "--on", "prod"
    )
    assert "base: 1 server of Text Generation Inference, up to 30 calls each" in outcome.err
    assert "twice: the servers of base" in outcome.err
    rendered = render(Path("out"))
    (server,) = rendered.of("StatefulSet")
    assert labels_of(server)["model"] == "base"
    pools = {labels_of(each).get("model") for each in rendered.workers}
    assert pools == {None, "base", "twice"}


def test_a_server_can_be_chosen(command: CommandLine) -> None:
    a_job({"chat": CHAT, "far": {**CHAT, "endpoints": ["https://lm.example.org"]}})
    outcome = command("k8s", "job.yaml", "--out", "out", "--server", "chat=tgi", "--server", "far=vllm")
    assert outcome.code == 0
    images = {labels_of(each)["model"]: container_of(each)["image"] for each in render(Path("out")).of("StatefulSet")}
    assert "text-generation-inference" in images["chat"]
    assert "vllm" in images["far"]


def test_a_model_elsewhere_is_left_there_and_its_key_asked_for(command: CommandLine) -> None:
    a_job({"far": {**CHAT, "endpoints": ["https://lm.example.org"], "api_key_env": "FAR_KEY"}})
    outcome = command("k8s", "job.yaml", "--out", "out")
    assert "far: outside of the overlay, at https://lm.example.org; --server far=vllm brings servers" in outcome.err
    assert "the Secret model-keys must hold FAR_KEY" in outcome.err
    assert read_job(Path("out/job/job.yaml")).models["far"].api_key_env == "FAR_KEY"
    assert not render(Path("out")).of("StatefulSet")


def test_seeds_and_prompts_of_the_jobs_own_come_along(command: CommandLine) -> None:
    Path("mine").mkdir()
    for each in SHIPPED_PROMPTS.glob("*.j2"):
        (Path("mine") / each.name).write_bytes(each.read_bytes())
    a_job(seeds=os.path.relpath(SHIPPED_SEEDS), prompts="mine")
    assert command("k8s", "job.yaml", "--out", "out").code == 0
    job = read_job(Path("out/job/job.yaml"))
    assert job.seeds == Path("out/job/seeds.jsonl").resolve()
    assert job.seeds.read_bytes() == SHIPPED_SEEDS.read_bytes()
    assert job.prompts == Path("out/job/prompts").resolve()
    assert not filecmp.dircmp("mine", job.prompts).diff_files


def test_an_empty_folder_is_filled(command: CommandLine) -> None:
    Path("out").mkdir()
    assert command("k8s", a_job(), "--out", "out").code == 0


@pytest.mark.parametrize("what", ["full", "file", "link"])
def test_what_is_there_is_left_alone(command: CommandLine, what: str) -> None:
    Path("full").mkdir()
    Path("full/mine").write_text("mine")
    Path("file").write_text("mine")
    Path("link").symlink_to("nowhere")
    said = command.refused(2, "k8s", a_job(), "--out", what)
    assert f"{what} exists already and is not an empty folder; name another one" in said
    assert Path("full/mine").read_text() == Path("file").read_text() == "mine"
    assert not Path("nowhere").exists()


def test_a_place_that_can_not_be_written_to(command: CommandLine) -> None:
    Path("file").write_text("mine")
    assert "file/out can't be written: " in command.refused(1, "k8s", a_job(), "--out", "file/out")


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("other=tgi", "--server other=tgi: the job has no model 'other', but base, chat"),
        ("chat=sglang", "--server chat=sglang: there is no server 'sglang'; write it as NAME=tgi"),
        ("chat", "--server chat: there is no server ''"),
        ("base=vllm", "models.base.protocol: vLLM does not speak tgi; write openai, or choose --server base=tgi"),
        ("base=external", "models.base.endpoints: http://localhost:8080 is this machine, which no pod reaches"),
    ],
)
def test_servers_that_can_not_be(command: CommandLine, server: str, said: str) -> None:
    assert said in command.refused(2, "k8s", a_job(), "--out", "out", "--server", server)
    assert not Path("out").exists()


def test_two_servers_for_one_model(command: CommandLine) -> None:
    twice = ("--server", "chat=tgi", "--server", "chat=vllm")
    assert "--server chat=vllm: it was tgi before" in command.refused(2, "k8s", a_job(), "--out", "out", *twice)


def test_all_models_without_weights_are_named_at_once(command: CommandLine) -> None:
    nameless = {**BASE, "model": None}
    said = command.refused(2, "k8s", a_job({"base": nameless, "chat": {**CHAT, "model": None}}), "--out", "out")
    assert "models.base.model: it is not said which weights to serve" in said
    assert "choose --server chat=external" in said
    assert not Path("out").exists()


def test_a_job_that_can_not_run_is_refused_as_ever(command: CommandLine) -> None:
    Path("job.yaml").write_text("name: x")
    assert "job.yaml is not a job that can run" in command.refused(2, "k8s", "job.yaml", "--out", "out")


@pytest.mark.parametrize("place", ["base/x", "overlays/prod/x", "components"])
def test_an_overlay_within_what_it_is_laid_upon_is_refused(command: CommandLine, place: str) -> None:
    out = kubernetes.MANIFESTS / place
    message = command.refused(2, "k8s", a_job(), "--out", out)
    assert "lies among the manifests" in message or "is not an empty folder" in message
    assert not (kubernetes.MANIFESTS / "base" / "x").exists()


def test_without_the_manifests_nothing_is_written(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kubernetes, "MANIFESTS", tmp_path / "nowhere")
    assert "run this in a checkout" in command.refused(1, "k8s", a_job(), "--out", "out")
    assert not Path("out").exists()


def test_the_documentation_shows_what_it_prints(command: CommandLine) -> None:
    models = {
        "writer": {**BASE, "max_in_flight": 64, "model": "tiiuae/falcon-40b"},
        "answerer": {**CHAT, "max_in_flight": 256, "model": "Qwen/Qwen2.5-32B-Instruct", "timeout_s": 300},
        "far": {"protocol": "openai", "kind": "instruct", "endpoints": ["https://lm.example.org"]},
    }
    outcome = command("k8s", a_job(models), "--out", "k8s/overlays/my-job")
    shown = outcome.out + outcome.err
    documented = {line.strip() for line in DOCS.read_text().splitlines()}
    assert [line for line in map(str.rstrip, shown.splitlines()) if line.strip() not in documented] == []
