"""A pool that grows and shrinks by the rule of its rendered ScaledObject while a run goes on loses and doubles nothing.

There is no cluster here: worker processes are started as the rendered Deployment says, and told to stop and killed as
a cluster would do it. A second here is a minute there.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine

from services.kubernetes.limits import limits
from services.kubernetes.overlay import Ground, Plan, files
from services.kubernetes.servers import served
from services.kubernetes.writing import write
from services.local.valkey import Valkey
from shared.job_file import read_job
from shared.lm.fake import FakeServer
from shared.lm.fake_protocols import FakeRequest
from tests.deploy.autoscaler import SYNC_S, Autoscaler
from tests.deploy.rendering import MANIFESTS, Manifest, Rendered, container_of, pod_of, render
from tests.deploy.scaler_login import a_scaler, ask
from tests.e2e.stack import BIN, DEADLINE_S, ROOT, Stack, a_job, a_stack

PATIENCE_S = 240.0  # eight processes that start at once take their time on two cores
SPEED = 60.0  # seconds there in a second here
CALLS_PER_WORKER = 2
MOST = 8
POOL = "output-generator-chat"
THE_OTHERS = ("instructions", "instances", "consensus", "control")
VOICES = [{"model": "chat"}]
TARGETS = {"input_output": 175, "output_only": 175}


@dataclass
class Pace:
    """How long the LMs take. One has the other have work, but not the whole run's, while it is `ahead`."""

    base_s: float = 0.02
    chat_s: float = 12.0
    ahead: bool = True

    def __call__(self, request: FakeRequest) -> float:
        """For this call."""
        return self.chat_s if request.chat else self.base_s

    def see(self, unfinished: float) -> None:
        """Slow the one down while the other has enough to do."""
        self.base_s = 0.02 if self.ahead and unfinished < 3 * CALLS_PER_WORKER * MOST else 20.0


@dataclass
class ScaledPool:
    """The pods of a Deployment."""

    stack: Stack
    rendered: Rendered
    running: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    stopping: dict["subprocess.Popen[bytes]", float] = field(default_factory=dict)  # and when the grace period ends
    statuses: list[int] = field(default_factory=list)
    before_begun: int = 0  # told to stop before they could listen, so that the signal itself ended them
    sizes: list[int] = field(default_factory=list)
    logs: dict["subprocess.Popen[bytes]", Path] = field(default_factory=dict)

    @property
    def _deployment(self) -> Manifest:
        return self.rendered.named("Deployment", POOL)

    def scale(self, replicas: int) -> None:
        """Start or tell to stop as many as it takes, the youngest first, and see to those that were told."""
        while len(self.running) < replicas:
            self.running.append(self._start())
        while len(self.running) > replicas:
            youngest = self.running.pop()
            youngest.terminate()
            grace_s = pod_of(self._deployment)["spec"]["terminationGracePeriodSeconds"]
            self.stopping[youngest] = time.monotonic() + grace_s
        self.look()
        if not self.sizes or self.sizes[-1] != replicas:
            self.sizes.append(replicas)

    def look(self) -> None:
        """Note how those ended that were told to stop; whoever has outlived the grace period is killed."""
        for process, until in list(self.stopping.items()):
            if time.monotonic() > until:
                process.kill()
            if process.poll() is not None:
                del self.stopping[process]
                if process.returncode == -signal.SIGTERM and not self._said(process):
                    self.before_begun += 1
                else:
                    self.statuses.append(process.returncode)

    def _said(self, process: "subprocess.Popen[bytes]") -> str:
        return self.logs[process].read_text()

    def _start(self) -> "subprocess.Popen[bytes]":
        container = container_of(self._deployment)
        program, *arguments = [str(each) for each in (*container["command"], *container["args"])]
        number = len(self.logs)
        arguments = [each.replace("@%h", f"-{number}@%h") for each in arguments]  # a pod has a host's name of its own
        settings = self.rendered.named("ConfigMap", container["envFrom"][0]["configMapRef"]["name"])["data"]
        environment = {**self.stack.environment, **settings, "HEALTH_ADDRESS": "127.0.0.1:0"}
        path = self.stack.folder / f"{POOL}-{number}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [BIN / program, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        self.logs[process] = path
        return process


@contextmanager
def a_pool(stack: Stack, rendered: Rendered) -> Iterator[ScaledPool]:
    """Nothing started yet; everything ended afterwards."""
    pool = ScaledPool(stack, rendered)
    try:
        yield pool
    finally:
        for process in (*pool.running, *pool.stopping):
            process.kill()
            process.wait(DEADLINE_S)


@pytest.fixture
def rendered(tmp_path: Path) -> Rendered:
    """The overlay of a job with a model that takes 16 calls at once, two of them for each worker."""
    models = models_at("http://localhost:8080")
    for model in models.values():
        model["model"] = "example/any"
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(a_job(models, TARGETS, outputs=VOICES)))
    job = read_job(path)
    plan = Plan(job, served(job, []), limits(job, CALLS_PER_WORKER), CALLS_PER_WORKER, Ground.PROD)
    write(tmp_path / "overlay", files(plan, MANIFESTS, tmp_path / "overlay"), {})
    return render(tmp_path / "overlay")


def models_at(url: str) -> dict[str, dict[str, Any]]:
    """Two models of one server."""
    common = {"endpoints": [url], "timeout_s": 60, "max_in_flight": CALLS_PER_WORKER * MOST}
    return {
        "base": {"protocol": "tgi", "kind": "vanilla", **common},
        "chat": {"protocol": "openai", "kind": "instruct", **common},
    }


@pytest.mark.timeout(900)
def test_a_pool_grows_from_one_to_eight_and_shrinks_to_one_while_a_run_goes_on(
    rendered: Rendered, engine: Engine, database_url: str, broker: Valkey, tmp_path: Path
) -> None:
    autoscaler = Autoscaler.of(rendered.named("ScaledObject", POOL))
    pace, account = Pace(), tmp_path / "served"
    with (
        a_stack(engine, database_url, broker.url, tmp_path) as stack,
        a_scaler(database_url) as scaler,
        FakeServer(latency=pace, served=account) as server,
        a_pool(stack, rendered) as pool,
    ):

        def scale_until(what: str, come: Callable[[], bool]) -> None:
            until = time.monotonic() + PATIENCE_S
            while not come():
                assert time.monotonic() < until, f"{what}: not in time, sizes {pool.sizes}\n{stack.logs()}"
                length = ask(scaler, autoscaler.question)
                pace.see(length)
                pool.scale(autoscaler.decide(time.monotonic() * SPEED, len(pool.running), length))
                time.sleep(SYNC_S / SPEED)

        def working() -> int:
            holders = "SELECT count(DISTINCT worker) FROM work_items WHERE state = 'leased' AND queue = 'outputs.chat'"
            return int(stack.rows(holders)[0])

        stack.start(*THE_OTHERS)
        pool.scale(1)
        run_id = stack.enqueue(a_job(models_at(server.url), TARGETS, outputs=VOICES))
        scale_until("eight at work", lambda: working() == MOST)
        pace.ahead, pace.chat_s = False, 0.02
        scale_until("one left", lambda: pool.sizes[-1] == 1 and not pool.stopping)
        assert stack.rows("SELECT state FROM runs") == ["running"]
        pace.base_s = 0.02
        stack.wait_for_the_end(run_id)

        print(f"{POOL}: {' → '.join(map(str, pool.sizes))} workers, {len(pool.statuses)} told to stop")
        assert max(pool.sizes) == MOST
        assert pool.sizes[-1] == 1
        assert pool.statuses == [0] * len(pool.statuses)
        assert len(pool.statuses) + pool.before_begun >= MOST - 1
        assert stack.rows("SELECT sum(crashes), sum(earlier_tries) FROM work_items") == [(0, 0)]
        stack.command("audit", run_id, "--served", str(account))
