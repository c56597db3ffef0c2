"""A small job on a real language model: Gemma 3 270M, served over TGI's protocol on the CPU."""

import sys
import urllib.request
from collections.abc import Iterator

import pytest

from services.local.ports import HOST, free_port
from services.local.processes import Child
from services.local.weights import GEMMA, obtain
from tests.e2e.stack import ROOT, Stack, a_job

START_TIMEOUT_S = 120.0
DEADLINE_S = 240.0  # it takes about 30 s on two idle cores


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the real weights."""
    folder = tmp_path_factory.mktemp("gemma")
    port = free_port()
    command = [sys.executable, "-m", "services.local.tgi_server", "--model", str(obtain(GEMMA, folder))]
    options = ["--name", "gemma", "--port", str(port), "--parallel", "2", "--context", "4096", "--threads", "2"]
    server = Child.start("Gemma", [*command, *options], log=folder / "log", folder=ROOT)
    try:
        url = f"http://{HOST}:{port}"
        server.wait_ready(lambda: _healthy(url), START_TIMEOUT_S)
        yield url
    finally:
        server.stop()


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:  # noqa: S310 - our own server
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_real_language_model_makes_examples_whose_lineage_is_whole(gemma: str, stack: Stack) -> None:
    model = {"protocol": "tgi", "kind": "vanilla", "endpoints": [gemma], "max_in_flight": 2, "timeout_s": 60}
    targets = {"input_output": 1, "output_only": 2}
    job = a_job({"gemma": model}, targets)
    job["instructions"] |= {"decoding": {"max_new_tokens": 48, "temperature": 1.0}, "lookahead": 4, "reuse": 1000}
    job["instances"] |= {"decoding": {"max_new_tokens": 96}, "reuse": 1000}
    job["outputs"] = [{"model": "gemma", "decoding": {"max_new_tokens": 24}}]
    job["consensus"] = {"rule": "none"}  # so small an LM seldom agrees with itself
    stack.start("instructions", "instances", "outputs.gemma", "consensus", "control")
    run_id = stack.enqueue(job)
    stack.wait_for_the_end(run_id, DEADLINE_S)

    kept = stack.rows("SELECT task_type, count(*) FROM examples WHERE NOT surplus GROUP BY task_type")
    assert dict(kept) == targets
    assert stack.rows("SELECT DISTINCT fault, prompt_tokens > 50, completion_tokens > 0 FROM generations") == [
        (None, True, True)
    ]
    rooted = stack.rows(
        "SELECT count(*) FROM lineage.examples e WHERE EXISTS"
        " (SELECT FROM lineage.ancestors('example', e.id) WHERE ancestor_kind = 'seed_task')"
    )
    assert rooted == stack.rows("SELECT count(*) FROM examples")
