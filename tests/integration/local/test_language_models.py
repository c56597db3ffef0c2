"""The embedded LM servers, on real weights, spoken to by the clients that the world uses."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import ValidationError

from services.local.language_models import GEMMA, LanguageModelServer
from services.local.ports import free_port
from services.local.processes import Child, NotReady
from services.local.weights import obtain

PROMPT = "The capital of France is"


@pytest.fixture(scope="module")
def client(gemma_tgi: LanguageModelServer) -> InferenceClient:
    """Hugging Face's own client."""
    return InferenceClient(f"{gemma_tgi.url}/generate", token="none", timeout=60)  # noqa: S106 - no secret


@pytest.fixture(scope="module")
def http(gemma_tgi: LanguageModelServer) -> Iterator[httpx2.Client]:
    """Plain HTTP to the TGI server."""
    with httpx2.Client(base_url=gemma_tgi.url, trust_env=False, timeout=60) as plain:
        yield plain


def generate(http: httpx2.Client, inputs: str = PROMPT, **parameters: Any) -> httpx2.Response:
    """POST /generate."""
    return http.post("/generate", json={"inputs": inputs, "parameters": parameters})


def test_info_names_the_model_its_weights_and_its_limits(http: httpx2.Client) -> None:
    info = http.get("/info").json()
    assert (info["model_id"], info["model_sha"]) == ("gemma-3-270m", GEMMA.weights.sha256)
    assert (info["max_input_tokens"], info["max_total_tokens"], info["max_stop_sequences"]) == (511, 512, 4)


def test_probes_say_that_it_is_alive_and_ready(http: httpx2.Client) -> None:
    assert [http.get(path).status_code for path in ("/healthz", "/readyz", "/health")] == [200] * 3


def test_the_openai_server_tells_probes_at_an_address_of_its_own(weights_folder: Path, tmp_path: Path) -> None:
    weights = obtain(GEMMA.weights, weights_folder)
    log, model = tmp_path / "log", ["--model", str(weights), "--name", "gemma", "--port", "0", "--context", "64"]
    command = [sys.executable, "-m", "services.local.llama_server", *model]
    server = Child.start("the server", command, log=log, environment={"HEALTH_ADDRESS": "127.0.0.1:0"})
    try:
        server.wait_ready(lambda: "its health at " in log.read_text(), 120)
        address = log.read_text().partition("its health at ")[2].split()[0]
        with httpx2.Client(base_url=address, trust_env=False, timeout=60) as probe:
            server.wait_ready(lambda: probe.get("/readyz").status_code == 200, 120)
            assert probe.get("/healthz").text == "ok\n"
    finally:
        server.stop(timeout_s=5)


def test_the_text_ends_with_its_stop_sequence(client: InferenceClient) -> None:
    answer = client.text_generation(PROMPT, max_new_tokens=30, stop=["."], details=True, return_full_text=False)
    assert answer.generated_text.endswith(".")
    assert answer.details
    assert answer.details.finish_reason == "stop_sequence"
    assert 1 <= answer.details.generated_tokens <= 30


def test_the_length_ends_a_text(client: InferenceClient) -> None:
    answer = client.text_generation(PROMPT, max_new_tokens=3, details=True, return_full_text=False)
    assert answer.details
    assert (answer.details.finish_reason, answer.details.generated_tokens) == ("length", 3)


def test_a_seed_decides_what_is_drawn(client: InferenceClient) -> None:
    texts = [
        client.text_generation(PROMPT, max_new_tokens=12, temperature=1.5, seed=seed, return_full_text=False)
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_a_seed_is_told_only_where_tokens_were_drawn(http: httpx2.Client) -> None:
    drawn = generate(http, max_new_tokens=1, temperature=0.5, seed=7).json()["details"]["seed"]
    greedy = generate(http, max_new_tokens=1, seed=7).json()["details"]["seed"]
    assert (drawn, greedy) == (7, None)


def test_the_full_text_begins_with_the_prompt(http: httpx2.Client) -> None:
    assert generate(http, max_new_tokens=1, return_full_text=True).json()["generated_text"].startswith(PROMPT)


def test_prompt_tokens_are_counted(http: httpx2.Client) -> None:
    answer = generate(http, max_new_tokens=2, decoder_input_details=True)
    assert [token["text"] for token in answer.json()["details"]["prefill"]][:2] == ["<bos>", "The"]
    assert (answer.headers["x-prompt-tokens"], answer.headers["x-generated-tokens"]) == ("6", "2")


def test_a_prompt_can_be_cut_from_the_left(http: httpx2.Client) -> None:
    answer = generate(http, max_new_tokens=1, truncate=2, decoder_input_details=True)
    assert [token["text"] for token in answer.json()["details"]["prefill"]] == [" France", " is"]


def test_a_refusal_reaches_the_client(client: InferenceClient) -> None:
    with pytest.raises(ValidationError, match="`temperature` must be strictly positive"):
        client.text_generation(PROMPT, temperature=0, do_sample=True)


def test_too_long_a_prompt_is_refused(http: httpx2.Client) -> None:
    answer = generate(http, "word " * 600)
    assert answer.status_code == 422
    assert answer.json()["error_type"] == "validation"
    assert "`inputs` must have less than 511 tokens" in answer.json()["error"]


def test_a_body_of_another_shape_is_refused(http: httpx2.Client) -> None:
    answer = http.post("/generate", json={"inputs": 3})
    assert answer.status_code == 422
    assert answer.text.startswith("Failed to deserialize the JSON body into the target type: inputs:")


def test_a_prefix_is_read_once(gemma_openai: LanguageModelServer) -> None:
    prefix = "A list of varied tasks for an assistant. " * 20
    with httpx2.Client(base_url=gemma_openai.url, trust_env=False, timeout=60) as http:
        cached = [
            http.post("/v1/completions", json={"prompt": prefix + end, "max_tokens": 1}).json()["usage"]
            for end in ("Sing a song.", "Write a poem.")
        ]
    assert cached[1]["prompt_tokens_details"]["cached_tokens"] > 150


def test_openais_protocol_names_its_model(gemma_openai: LanguageModelServer) -> None:
    with httpx2.Client(base_url=gemma_openai.url, trust_env=False, timeout=60) as http:
        assert [model["id"] for model in http.get("/v1/models").json()["data"]] == ["gemma-3-270m"]
        messages = [{"role": "user", "content": "Hello"}]
        answer = http.post("/v1/chat/completions", json={"messages": messages, "max_tokens": 3}).json()
    assert answer["choices"][0]["finish_reason"] in ("length", "stop")


def test_a_server_has_its_address_again_unless_it_was_taken(weights_folder: Path, tmp_path: Path) -> None:
    model = replace(GEMMA, protocol="openai", parallel=1, context=64, threads=1)

    def port() -> int:
        server = LanguageModelServer(model, weights_folder, tmp_path / "log", tmp_path / "ports" / "gemma")
        try:
            return server.start().port
        finally:
            server.stop()

    first = port()
    assert port() == first
    with socket.create_server(("127.0.0.1", first)):
        assert port() != first


@pytest.mark.parametrize("module", ["services.local.tgi_server", "services.local.llama_server"])
def test_a_model_that_is_not_there_is_told(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", module, "--model", "/nowhere.gguf", "--name", "x", "--port", str(free_port())]
    child = Child.start("LM", command, log=tmp_path / "log")
    with pytest.raises(NotReady, match=r"llama\.cpp can't serve /nowhere\.gguf"):
        child.wait_ready(lambda: False, timeout_s=30)


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
def test_a_server_leaves_in_time_though_it_is_busy(protocol: str, weights_folder: Path, tmp_path: Path) -> None:
    name = {"tgi": "tgi_server", "openai": "llama_server"}[protocol]
    path = {"tgi": "/generate", "openai": "/v1/completions"}[protocol]
    body = {"inputs": "Once", "prompt": "Once", "max_tokens": 400, "parameters": {"max_new_tokens": 400}}
    model, port = str(weights_folder / GEMMA.weights.name), free_port()
    command = [sys.executable, "-m", f"services.local.{name}", "--model", model, "--name", "x", "--port", str(port)]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http,
    ):
        _wait_for(http)
        busy = threading.Thread(target=_post_in_vain, args=(http, path, body))
        busy.start()
        time.sleep(0.5)
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 2
        busy.join()
        assert process.stdout is not None
        assert process.stdout.read() == b""


def _wait_for(http: httpx2.Client) -> None:
    for _ in range(300):
        try:
            if http.get("/health").status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.1)
    pytest.fail("the server did not come up")


def _post_in_vain(http: httpx2.Client, path: str, body: dict[str, Any]) -> None:
    with contextlib.suppress(httpx2.HTTPError):
        http.post(path, json=body)
