import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

import pytest

from shared.lm.errors import Overloaded
from shared.lm.fake import FakeServer, varying
from shared.lm.fake_protocols import FakeAnswer, FakeModel, FakeRequest
from shared.lm.fake_usage import Usage
from shared.lm.protocol import Call
from shared.method.decoding import Decoding
from tests.integration.lm.session import ask, describe

GREEDY = Decoding(temperature=0)


def post(connection: HTTPConnection, path: str, body: object) -> tuple[HTTPResponse, str]:
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    response = connection.getresponse()
    return response, response.read().decode()


def connect_plainly(url: str) -> closing[HTTPConnection]:
    return closing(HTTPConnection(urlsplit(url).netloc, timeout=10))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"temperature": 0}, "`temperature` must be strictly positive"),
        ({"temperature": -0.1}, "`temperature` must be strictly positive"),
        ({"top_p": 1.0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"top_p": 0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"top_k": 0}, "`top_k` must be strictly positive"),
        ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
        ({"stop": list("abcde")}, "`stop` supports up to 4 stop sequences. Given: 5"),
        ({"seed": -1}, "`seed`"),
        ({"temperature": "hot"}, "temperature is not a number"),
    ],
)
def test_it_refuses_what_tgi_refuses(parameters: dict[str, object], message: str) -> None:
    with FakeServer() as server, connect_plainly(server.url) as connection:
        response, text = post(connection, "/generate", {"inputs": "p", "parameters": parameters})
    assert response.status == 422
    assert message in json.loads(text)["error"]


def test_it_refuses_a_prompt_that_is_too_long() -> None:
    with FakeServer(model=FakeModel(max_input_tokens=3)) as server, connect_plainly(server.url) as connection:
        response, _ = post(connection, "/generate", {"inputs": "four words of prompt"})
        assert response.status == 422
        response, _ = post(connection, "/generate", {"inputs": "three words only"})
        assert response.status == 200


def test_it_includes_the_stop_sequence_as_tgi_does_and_not_as_openai_does() -> None:
    with (
        FakeServer(lambda request: FakeAnswer("a[END]b")) as server,
        connect_plainly(server.url) as connection,
    ):
        _, tgi = post(connection, "/generate", {"inputs": "p", "parameters": {"stop": ["[END]"]}})
        body = {"model": "fake/model", "prompt": "p", "stop": ["[END]"]}
        _, openai = post(connection, "/v1/completions", body)
    assert json.loads(tgi)["generated_text"] == "a[END]"
    assert json.loads(tgi)["details"]["finish_reason"] == "stop_sequence"
    assert json.loads(openai)["choices"][0]["text"] == "a"


def test_it_keeps_connections_alive_and_survives_nonsense() -> None:
    with FakeServer() as server, connect_plainly(server.url) as connection:
        for path, body in [("/generate", {"inputs": "p"}), ("/generate", [1]), ("/nowhere", {})]:
            response, _ = post(connection, path, body)
            assert not response.will_close
        connection.request("POST", "/generate", b"\xff{")
        assert connection.getresponse().status == 400


def test_above_its_slots_it_is_overloaded() -> None:
    with FakeServer(slots=0) as server, pytest.raises(Overloaded, match="Model is overloaded"):
        ask("tgi", server.url, Call("p", GREEDY))
    assert server.in_flight == 0


def test_it_is_healthy() -> None:
    with FakeServer() as server, connect_plainly(server.url) as connection:
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200


def test_the_same_question_gets_the_same_answer_from_any_server() -> None:
    call = Call("Task 1: Count the given words.\n\nTask 2:", Decoding(), seed=7)
    with FakeServer() as one, FakeServer() as two:
        assert ask("tgi", one.url, call)[0].text == ask("openai", two.url, call)[0].text


def test_it_runs_as_a_process() -> None:
    command = [sys.executable, "-m", "shared.lm.fake", "--model", "org/lm", "--latency", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
            assert describe("tgi", url)[0].model_id == "org/lm"
        finally:
            process.terminate()


def usage(connection: HTTPConnection) -> Usage:
    connection.request("GET", "/fake/usage")
    return Usage(**json.loads(connection.getresponse().read()))


def test_it_tells_how_busy_it_was() -> None:
    with FakeServer(latency=0.2) as server, connect_plainly(server.url) as watching:
        before, began = usage(watching), time.monotonic()
        with ThreadPoolExecutor(4) as callers:
            list(callers.map(lambda _: ask("tgi", server.url, Call("p", GREEDY)), range(8)))
        after, took = usage(watching), time.monotonic() - began
    assert (before.answered, after.answered, after.in_flight) == (0, 8, 0)
    assert 8 * 0.2 * 0.99 <= after.busy_s <= 4 * took
    assert after.mean_in_flight(before) <= 4


def test_its_latency_varies_the_same_way_each_time() -> None:
    request = FakeRequest("/generate", "p", False, None, (), 8, {})
    one, two = varying(1.0, 0.3), varying(1.0, 0.3)
    assert callable(one)
    assert callable(two)
    seen = [one(request) for _ in range(1000)]
    assert seen == [two(request) for _ in range(1000)]
    assert 0.7 <= min(seen) < 0.72
    assert 1.28 < max(seen) <= 1.3
