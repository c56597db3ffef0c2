"""The manifests, rendered: the overlays that come along, and one of a job on each of them."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.kubernetes.limits import CALLS_PER_WORKER, limits
from services.kubernetes.overlay import Ground, Plan, files
from services.kubernetes.servers import served
from services.kubernetes.writing import write
from shared.job import JobSpec
from shared.job_file import read_job
from tests.deploy.rendering import MANIFESTS, Rendered, render

WRITER = "Writer_of-long_names-that-no-label-of-DNS-may-have".lower()
JOB: dict[str, Any] = {
    "name": "sample",
    "targets": {"input_output": 10, "output_only": 5},
    "models": {
        WRITER: {
            "protocol": "tgi",
            "kind": "vanilla",
            "endpoints": ["http://localhost:8080"],
            "model": "example/base-20b",
            "max_in_flight": 96,
        },
        "answerer": {
            "protocol": "openai",
            "kind": "instruct",
            "endpoints": ["http://127.0.0.1:8000", "http://127.0.0.1:8001"],
            "model": "example/chat-30b",
            "max_in_flight": 500,
            "timeout_s": 300.5,
        },
        "answerer-plain": {
            "protocol": "openai",
            "kind": "vanilla",
            "endpoints": ["http://127.0.0.1:8000", "http://127.0.0.1:8001"],
            "model": "example/chat-30b",
            "max_in_flight": 64,
        },
        "far": {
            "protocol": "openai",
            "kind": "instruct",
            "endpoints": ["https://lm.example.org", "http://[2001:db8::7]:9000"],
            "api_key_env": "FAR_KEY",
        },
    },
    "instructions": {"model": WRITER},
    "instances": {"model": "answerer"},
    "outputs": [{"model": WRITER}, {"model": "answerer"}, {"model": "far"}],
}


@pytest.fixture(scope="session")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the manifests whose trial overlay has its secrets."""
    copy = tmp_path_factory.mktemp("project") / "k8s"
    shutil.copytree(MANIFESTS, copy, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run([copy / "overlays" / "dev" / "make-secrets.sh"], check=True, capture_output=True, timeout=30)
    return copy


@pytest.fixture(scope="session")
def dev(manifests: Path) -> Rendered:
    """The overlay for a trial."""
    return render(manifests / "overlays" / "dev")


@pytest.fixture(scope="session")
def prod(manifests: Path) -> Rendered:
    """The overlay for production."""
    return render(manifests / "overlays" / "prod")


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    """A job with models of every sort."""
    path = tmp_path_factory.mktemp("job") / "job.yaml"
    path.write_text(yaml.safe_dump(JOB, sort_keys=False))
    return read_job(path)


Written = Callable[[Ground], Path]


@pytest.fixture(scope="session")
def written(manifests: Path, job: JobSpec, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Writes the job's overlay and says where."""

    def write_on(ground: Ground) -> Path:
        plan = Plan(job, served(job, []), limits(job, CALLS_PER_WORKER), CALLS_PER_WORKER, ground)
        folder = tmp_path_factory.mktemp("out") / "sample"
        write(folder, files(plan, manifests, folder), {})
        return folder

    return write_on


@pytest.fixture(scope="session")
def of_job(written: Written) -> Rendered:
    """The job's overlay for production."""
    return render(written(Ground.PROD))


@pytest.fixture(scope="session")
def of_job_on_trial(written: Written) -> Rendered:
    """The job's overlay for a trial."""
    return render(written(Ground.DEV))


@pytest.fixture(scope="session", params=["dev", "prod", "of_job", "of_job_on_trial"])
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """Each of them."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Rendered)
    return found
