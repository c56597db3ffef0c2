import asyncio
import json
from pathlib import Path

import jsonschema
import pytest

from shared.lm.connect import connect
from shared.lm.errors import Misconfigured, RefusedInput
from shared.lm.fake import FakeServer
from shared.lm.fake_protocols import FakeAnswer, FakeModel, FakeRequest
from shared.lm.protocol import Call, FinishReason
from shared.method.decoding import Decoding
from tests.integration.lm.session import ask, describe, make_spec

SCHEMA = json.loads(Path(__file__).with_name("tgi_generate_request.schema.json").read_text())
MODEL = FakeModel(model_id="org/small-lm", revision="abc123", version="3.3.6", max_input_tokens=900)
GREEDY = Decoding(temperature=0, max_new_tokens=64)


def say(text: str) -> FakeServer:
    return FakeServer(lambda request: FakeAnswer(text), model=MODEL, record=True)


@pytest.mark.parametrize(
    "call",
    [
        Call("p", Decoding(), stop=("\nTask ",), seed=1),
        Call("p", Decoding(top_p=0.9, top_k=0), stop=("a", "b", "c", "d"), seed=2**31 - 1),
        Call("p", GREEDY),
    ],
    ids=["sampled", "top_p", "greedy"],
)
def test_requests_fit_the_published_interface(call: Call) -> None:
    with say("x") as server:
        ask("tgi", server.url, call)
        jsonschema.validate(server.bodies[0], SCHEMA)


def test_an_answer_says_where_it_comes_from() -> None:
    with say("four words of text") as server:
        (answer,) = ask("tgi", server.url, Call("a prompt of five words", GREEDY))
    assert answer.text == "four words of text"
    assert (answer.prompt_tokens, answer.completion_tokens) == (5, 4)
    assert (answer.served.model_revision, answer.served.server_version) == ("abc123", "3.3.6")
    assert answer.endpoint == server.url
    assert answer.finish_reason is FinishReason.STOP
    assert 0 < answer.latency_s < 20


def test_the_stop_sequence_that_tgi_includes_is_cut() -> None:
    with say(" kept\n[END]\nand not this") as server:
        (answer,) = ask("tgi", server.url, Call("p", GREEDY, stop=("\n[END]", "\nTask")))
    assert answer.text == " kept"
    assert answer.finish_reason is FinishReason.STOP


def test_running_into_the_limit_shows() -> None:
    with say("word " * 100) as server:
        (answer,) = ask("tgi", server.url, Call("p", GREEDY))
    assert answer.finish_reason is FinishReason.LENGTH
    assert answer.completion_tokens == 64


def test_the_seed_decides() -> None:
    def echo(request: FakeRequest) -> FakeAnswer:
        return FakeAnswer(f"seed {request.seed}")

    with FakeServer(echo) as server:
        answers = ask("tgi", server.url, *(Call("p", Decoding(), seed=seed) for seed in (5, 6, 5)))
    assert [answer.text for answer in answers] == ["seed 5", "seed 6", "seed 5"]


def test_a_chat_call_goes_where_the_chat_template_is_applied() -> None:
    with say(" hello") as server:
        (answer,) = ask("tgi", server.url, Call("p", Decoding(), stop=("x",), seed=3, chat=True))
    assert answer.text == " hello"
    assert answer.served.model_revision == "abc123"
    assert [request.path for request in server.requests] == ["/v1/chat/completions"]
    # TGI takes no top_k there and answers 422 to a top_p of 1
    assert server.bodies[0] == {
        "model": "org/small-lm",
        "messages": [{"role": "user", "content": "p"}],
        "max_tokens": 256,
        "temperature": 0.7,
        "stop": ["x"],
        "seed": 3,
    }


def test_five_stop_sequences_are_refused_before_anything_is_sent() -> None:
    with say("x") as server, pytest.raises(RefusedInput, match="4 stop sequences, not 5"):
        ask("tgi", server.url, Call("p", GREEDY, stop=tuple("abcde")))
    assert server.requests == []


def test_what_a_server_says_of_itself() -> None:
    with say("x") as server:
        (description,) = describe("tgi", server.url, model="org/small-lm")
    assert description.endpoint == server.url
    assert description.model_id == "org/small-lm"
    assert (description.model_revision, description.server_version) == ("abc123", "3.3.6")
    assert (description.max_input_tokens, description.max_total_tokens) == (900, 20_480)


def test_another_model_than_the_jobs_is_a_misconfiguration() -> None:
    with say("x") as server, pytest.raises(Misconfigured, match="it serves org/small-lm, not org/big-lm"):
        ask("tgi", server.url, Call("p", GREEDY), model="org/big-lm")
    assert server.requests == []


def test_a_server_is_asked_once_what_it_serves_however_many_calls_come_first() -> None:
    async def session(url: str) -> None:
        lm = connect(make_spec("tgi", url), {})
        await asyncio.gather(*(lm.generate(Call("p", GREEDY, seed=seed)) for seed in range(1, 30)))
        await lm.close()

    with say("x") as server:
        asyncio.run(session(server.url))
    assert server.descriptions == 1
    assert len(server.requests) == 29


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
@pytest.mark.parametrize("chat", [False, True])
def test_the_users_hub_token_is_never_sent(monkeypatch: pytest.MonkeyPatch, protocol: str, chat: bool) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_must_not_leak")
    with say("x") as server:
        ask(protocol, server.url, Call("p", GREEDY, chat=chat))
    assert "hf_must_not_leak" not in str(server.requests)


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
@pytest.mark.parametrize("chat", [False, True])
def test_the_servers_own_key_is_sent(protocol: str, chat: bool) -> None:
    with FakeServer(lambda request: FakeAnswer("x"), key="s3cret") as server:
        call, environ = Call("p", GREEDY, chat=chat), {"LM_KEY": "s3cret\n"}
        assert ask(protocol, server.url, call, environ=environ, api_key_env="LM_KEY")
        with pytest.raises(Misconfigured, match="401"):
            ask(protocol, server.url, call)


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
def test_a_missing_key_is_told_by_the_first_call(protocol: str) -> None:
    with say("x") as server, pytest.raises(Misconfigured, match="LM_KEY"):
        ask(protocol, server.url, Call("p", GREEDY), api_key_env="LM_KEY")
    assert server.descriptions == 0
