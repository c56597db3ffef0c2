"""The Dockerfile: what it promises, and that what it builds works, without a Docker engine."""

import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from sqlalchemy import make_url

from services.local.postgres import Postgres
from shared.lm.fake import FakeServer
from shared.queue import names
from tests.deploy.image import build, stages
from tests.e2e.stack import a_job, all_queues

PASSWORD = "correct-horse-battery"  # noqa: S105 - of logins that live as long as a test


def test_every_image_runs_as_a_user_without_rights_of_its_own() -> None:
    for target in ("worker", "services", "models"):
        assert stages()[target][0] == ("FROM", f"base AS {target}")
    assert ("USER", "10001:10001") in stages()["base"]


def test_everything_is_installed_from_hashed_lock_files() -> None:
    installs = [value for steps in stages().values() for name, value in steps if name == "RUN" and " install " in value]
    ours = [each for each in installs if each.endswith(" --no-deps --no-build-isolation --editable .")]
    assert len(ours) == 1
    from_locks = {each.rpartition(" --require-hashes -r ")[2] for each in installs if each not in ours}
    assert from_locks == {f"locks/{name}.txt" for name in ("build", "worker", "services", "models")}


def test_a_worker_is_asked_whether_it_lives() -> None:
    checks = dict(stages()["worker"])
    assert "shared.telemetry.probe" in checks["HEALTHCHECK"]
    port = checks["EXPOSE"]
    assert checks["ENV"].endswith(f":{port}")


def test_the_images_know_every_queue() -> None:
    of_worker = dict(stages()["worker"])["CMD"]
    assert all(queue in of_worker for queue in (names.INSTRUCTIONS, names.INSTANCES, names.CONSENSUS, names.CONTROL))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that other users can enter."""
    path = Path(tempfile.mkdtemp(prefix="ensemble-instruct-image-"))
    path.chmod(0o755)
    yield path
    for each, _, _ in os.walk(path):
        os.chmod(each, 0o700)
    shutil.rmtree(path)


@pytest.mark.image
@pytest.mark.timeout(1200)
def test_what_the_images_hold_makes_a_dataset(
    folder: Path, postgres: Postgres, empty_database_url: str, redis_url: str
) -> None:
    worker, services = build("worker", folder / "worker"), build("services", folder / "services")
    services.run("db", "upgrade", DATABASE_URL=empty_database_url)
    for role in ("worker", "operator", "reader"):
        made = ("db", "create-user", f"image_{role}", "--role", role)
        services.run(*made, DATABASE_URL=empty_database_url, NEW_USER_PASSWORD=PASSWORD)

    def address(role: str) -> str:
        url = make_url(empty_database_url).set(username=f"image_{role}", password=PASSWORD)
        return url.render_as_string(hide_password=False)

    pages = services.start(folder / "explorer.log", "explorer", "--port", "0", DATABASE_URL=address("reader"))
    out = folder / "out"
    out.mkdir()
    out.chmod(0o777)
    log, queues = folder / "worker.log", ",".join(all_queues(["base"]))
    by_worker = {"DATABASE_URL": address("worker"), "REDIS_URL": redis_url, "HEALTH_ADDRESS": "127.0.0.1:0"}
    at_work = worker.start(log, "-Q", queues, **by_worker)
    try:
        with FakeServer() as server:
            model = {"protocol": "tgi", "kind": "vanilla", "endpoints": [server.url], "max_in_flight": 6}
            (out / "job.yaml").write_text(yaml.safe_dump(a_job({"base": model}, {"input_output": 2, "output_only": 2})))
            by_operator = {"DATABASE_URL": address("operator"), "REDIS_URL": redis_url}
            run = services.run("enqueue", str(out / "job.yaml"), **by_operator)
            services.run("watch", run, **by_operator)
            printed = services.run("export", run, "--out", str(out / "data"), **by_operator)
            assert len(Path(printed).read_text().splitlines()) == 4
        with urllib.request.urlopen((folder / "explorer.log").read_text().strip(), timeout=60) as answer:  # noqa: S310 - our own address
            assert "completed" in answer.read().decode()
    finally:
        left = [_stopped(process) for process in (at_work, pages)]
    assert left == [0, 0], log.read_text()


def _stopped(process: "subprocess.Popen[bytes]") -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=120)
