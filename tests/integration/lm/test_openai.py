import pytest

from shared.lm.errors import Misconfigured, RefusedInput
from shared.lm.fake import DEFAULT_MODEL, FakeFault, FakeServer
from shared.lm.fake_protocols import FakeAnswer, FakeModel
from shared.lm.protocol import Call, FinishReason
from shared.method.decoding import Decoding
from tests.integration.lm.session import ask, describe

SAMPLED = Decoding(temperature=0.7, top_k=50, max_new_tokens=64)
SEVERAL = FakeModel(model_id="a", others=("b", "c"))


def say(text: str, model: FakeModel = DEFAULT_MODEL) -> FakeServer:
    return FakeServer(lambda request: FakeAnswer(text), model=model, record=True)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
@pytest.mark.parametrize("chat", [False, True])
def test_an_endpoint_may_end_with_v1(suffix: str, chat: bool) -> None:
    with say("hello") as server:
        (answer,) = ask("openai", server.url + suffix, Call("p", SAMPLED, chat=chat))
    assert answer.text == "hello"
    assert answer.endpoint == (server.url + suffix).rstrip("/")
    assert server.requests[0].path == ("/v1/chat/completions" if chat else "/v1/completions")


@pytest.mark.parametrize("chat", [False, True])
def test_an_answer_has_its_counts_and_its_reason(chat: bool) -> None:
    with say("word " * 100) as server:
        (answer,) = ask("openai", server.url, Call("a prompt of five words", SAMPLED, chat=chat))
    assert (answer.prompt_tokens, answer.completion_tokens) == (5, 64)
    assert answer.finish_reason is FinishReason.LENGTH
    assert (answer.served.model_revision, answer.served.server_version) == (None, None)


def test_a_stop_sequence_that_a_server_left_in_is_cut() -> None:
    body = b'{"choices": [{"text": "kept\\n[END] not", "finish_reason": "length"}]}'
    with FakeServer(lambda request: FakeFault(body=body)) as server:
        (answer,) = ask("openai", server.url, Call("p", SAMPLED, stop=("\n[END]",)))
    assert (answer.text, answer.finish_reason) == ("kept", FinishReason.STOP)
    assert (answer.prompt_tokens, answer.completion_tokens) == (None, None)


def test_without_a_name_the_only_model_is_asked() -> None:
    with say("x", FakeModel(model_id="only")) as server:
        ask("openai", server.url, Call("p", SAMPLED))
    assert server.bodies[0]["model"] == "only"


def test_the_model_that_the_job_names_is_asked() -> None:
    with say("x", SEVERAL) as server:
        ask("openai", server.url, Call("p", SAMPLED), model="b")
    assert server.bodies[0]["model"] == "b"


def test_a_model_that_is_not_served_is_a_misconfiguration() -> None:
    with say("x", SEVERAL) as server, pytest.raises(Misconfigured, match="it serves a, b, c, not d"):
        describe("openai", server.url, model="d")


def test_of_several_models_the_job_must_name_one() -> None:
    with say("x", SEVERAL) as server, pytest.raises(Misconfigured, match="must name one"):
        describe("openai", server.url)


def test_a_server_that_knows_no_top_k_is_not_sent_it_again() -> None:
    with say("x", FakeModel(refuses=frozenset({"top_k"}))) as server:
        assert len(ask("openai", server.url, Call("p", SAMPLED), Call("q", SAMPLED))) == 2
    assert ["top_k" in body for body in server.bodies] == [True, False, False]


def test_a_top_p_that_changes_nothing_may_be_left_out_and_another_may_not() -> None:
    cutting = SAMPLED.model_copy(update={"top_p": 0.9})
    with say("x", FakeModel(refuses=frozenset({"top_p"}))) as server:
        ask("openai", server.url, Call("p", SAMPLED), Call("q", SAMPLED))
        assert ["top_p" in body for body in server.bodies] == [True, False, False]
        with pytest.raises(RefusedInput, match="top_p"):
            ask("openai", server.url, Call("p", SAMPLED), Call("q", cutting))
