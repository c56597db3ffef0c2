import asyncio
import json
import socket
from collections.abc import Iterator

import pytest

from shared.lm.connect import connect
from shared.lm.errors import Fault, LMError
from shared.lm.fake import FakeFault, FakeServer
from shared.lm.fake_http import Delivery
from shared.lm.fake_protocols import FakeAnswer
from shared.lm.protocol import Call
from shared.method.decoding import Decoding
from tests.integration.lm.session import ask, make_spec

GREEDY = Decoding(temperature=0, max_new_tokens=64)
ROUTES = [
    pytest.param("tgi", False, id="tgi"),
    pytest.param("tgi", True, id="tgi-chat"),
    pytest.param("openai", False, id="openai"),
    pytest.param("openai", True, id="openai-chat"),
]


def answered(body: object) -> FakeFault:
    return FakeFault(body=json.dumps(body).encode())


def tgi_details(**changes: object) -> object:
    details = {"finish_reason": "eos_token", "generated_tokens": 1, "prefill": [], "tokens": [], **changes}
    return {"generated_text": "x", "details": details}


FAULTS = [
    pytest.param(FakeFault(422, b'{"error": "too long"}'), Fault.REFUSED_INPUT, id="422-json"),
    pytest.param(FakeFault(422, b"no", content_type="text/plain"), Fault.REFUSED_INPUT, id="422-text"),
    pytest.param(FakeFault(422, b'{"error": "x", "error_type": "validation"}'), Fault.REFUSED_INPUT, id="422-tgi"),
    pytest.param(FakeFault(400, b"{}"), Fault.REFUSED_INPUT, id="400"),
    pytest.param(FakeFault(413), Fault.REFUSED_INPUT, id="413"),
    pytest.param(FakeFault(401), Fault.MISCONFIGURED, id="401"),
    pytest.param(FakeFault(403), Fault.MISCONFIGURED, id="403"),
    pytest.param(FakeFault(404), Fault.MISCONFIGURED, id="404"),
    pytest.param(FakeFault(307), Fault.MISCONFIGURED, id="307"),
    pytest.param(FakeFault(429, b'{"error": "x", "error_type": "overloaded"}'), Fault.OVERLOADED, id="429"),
    pytest.param(FakeFault(502, b"<html>"), Fault.OVERLOADED, id="502"),
    pytest.param(FakeFault(503), Fault.OVERLOADED, id="503"),
    pytest.param(FakeFault(424, b'{"error": "x", "error_type": "generation"}'), Fault.BROKEN_ANSWER, id="424"),
    pytest.param(FakeFault(500), Fault.BROKEN_ANSWER, id="500"),
    pytest.param(FakeFault(504), Fault.BROKEN_ANSWER, id="504"),
    pytest.param(FakeFault(delivery=Delivery.DROPPED), Fault.BROKEN_ANSWER, id="dropped"),
    pytest.param(FakeFault(body=b"[1, 2]", delivery=Delivery.HALF), Fault.BROKEN_ANSWER, id="half-a-body"),
    pytest.param(FakeFault(body=b"hello"), Fault.BROKEN_ANSWER, id="not-json"),
    pytest.param(FakeFault(body=b""), Fault.BROKEN_ANSWER, id="empty"),
    pytest.param(FakeFault(body=b"\xff\xfe\x00"), Fault.BROKEN_ANSWER, id="not-utf8"),
    pytest.param(FakeFault(body=b"[" * 100_000), Fault.BROKEN_ANSWER, id="deep"),
    pytest.param(FakeFault(body=b"9" * 5_000), Fault.BROKEN_ANSWER, id="long-number"),
    pytest.param(answered({}), Fault.BROKEN_ANSWER, id="no-keys"),
    pytest.param(answered([]), Fault.BROKEN_ANSWER, id="list"),
    pytest.param(answered(None), Fault.BROKEN_ANSWER, id="null"),
    pytest.param(answered({"generated_text": "x", "choices": []}), Fault.BROKEN_ANSWER, id="no-details"),
    pytest.param(
        FakeFault(400, b"The following `model_kwargs` are not used by the model: ['details', 'seed']"),
        Fault.REFUSED_INPUT,
        id="what-the-hub-client-retries-for-ever",
    ),
]


@pytest.mark.parametrize(("protocol", "chat"), ROUTES)
@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_each_fault_has_its_class(protocol: str, chat: bool, fault: FakeFault, expected: Fault) -> None:
    with FakeServer(lambda request: fault) as server, pytest.raises(LMError) as caught:
        ask(protocol, server.url, Call("p", GREEDY, chat=chat))
    assert caught.value.fault is expected
    assert caught.value.endpoint == server.url


@pytest.mark.parametrize(
    "body",
    [
        tgi_details(finish_reason="abort"),
        tgi_details(finish_reason=None),
        tgi_details(generated_tokens="7"),
        {"generated_text": 7, "details": {"finish_reason": "eos_token"}},
        {"generated_text": "a\x00b", "details": {"finish_reason": "eos_token"}},
        {"generated_text": "x", "details": "yes"},
        {"details": {"finish_reason": "eos_token"}},
        [tgi_details(finish_reason=[])],
    ],
)
def test_a_tgi_answer_of_wrong_types_is_broken(body: object) -> None:
    with FakeServer(lambda request: answered(body)) as server, pytest.raises(LMError) as caught:
        ask("tgi", server.url, Call("p", GREEDY))
    assert caught.value.fault is Fault.BROKEN_ANSWER


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"finish_reason": "stop"}]},
        {"choices": [{"text": None, "finish_reason": "stop"}]},
        {"choices": [{"text": "x"}]},
        {"choices": [{"text": "x", "finish_reason": "tool_calls"}]},
        {"choices": {"text": "x", "finish_reason": "stop"}},
        {"choices": [{"text": "x", "finish_reason": "stop"}], "usage": {"prompt_tokens": -1}},
        {"choices": [{"text": "\udc80", "finish_reason": "stop"}]},
    ],
)
def test_an_openai_answer_of_wrong_types_is_broken(body: object) -> None:
    with FakeServer(lambda request: answered(body)) as server, pytest.raises(LMError) as caught:
        ask("openai", server.url, Call("p", GREEDY))
    assert caught.value.fault is Fault.BROKEN_ANSWER


@pytest.mark.parametrize(("protocol", "chat"), ROUTES)
def test_a_server_that_says_nothing_times_out(protocol: str, chat: bool) -> None:
    silent = FakeFault(delivery=Delivery.HUNG)
    with FakeServer(lambda request: silent) as server, pytest.raises(LMError) as caught:
        ask(protocol, server.url, Call("p", GREEDY, chat=chat), timeout_s=0.3)
    assert caught.value.fault is Fault.TIMED_OUT


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
def test_a_closed_port_is_unreachable(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(LMError) as caught:
        ask(protocol, f"http://127.0.0.1:{port}", Call("p", GREEDY))
    assert caught.value.fault is Fault.UNREACHABLE


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
def test_a_name_that_does_not_exist_is_unreachable(protocol: str) -> None:
    with pytest.raises(LMError) as caught:
        ask(protocol, "http://no-such-host.invalid", Call("p", GREEDY))
    assert caught.value.fault is Fault.UNREACHABLE


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
def test_a_failing_description_is_an_error_like_any_other(protocol: str) -> None:
    server = FakeServer(description_fault=FakeFault(503, b"loading model"))
    with server, pytest.raises(LMError, match="loading model") as caught:
        ask(protocol, server.url, Call("p", GREEDY))
    assert caught.value.fault is Fault.OVERLOADED


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
def test_a_prompt_that_no_json_can_hold_is_refused(protocol: str) -> None:
    with FakeServer() as server, pytest.raises(LMError) as caught:
        ask(protocol, server.url, Call("half a pair \ud800", GREEDY))
    assert caught.value.fault is Fault.REFUSED_INPUT


@pytest.mark.parametrize(("protocol", "chat"), ROUTES)
def test_a_key_that_a_server_echoes_does_not_show(protocol: str, chat: bool) -> None:
    echo = FakeFault(500, b"Bearer s3cret-key\n" * 100)
    call = Call("p", GREEDY, chat=chat)
    with FakeServer(lambda request: echo) as server, pytest.raises(LMError) as caught:
        ask(protocol, server.url, call, environ={"LM_KEY": "s3cret-key"}, api_key_env="LM_KEY")
    assert "s3cret-key" not in str(caught.value)
    assert len(caught.value.detail) <= 300
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
def test_after_a_fault_the_server_is_asked_anew_what_it_serves(protocol: str) -> None:
    good, bad = FakeAnswer("x"), FakeFault(500)
    answers: Iterator[FakeAnswer | FakeFault] = iter([good, bad, good, good])

    async def session(url: str) -> None:
        lm = connect(make_spec(protocol, url), {})
        call = Call("p", GREEDY)
        await lm.generate(call)
        with pytest.raises(LMError):
            await lm.generate(call)
        await lm.generate(call)
        await lm.generate(call)
        await lm.close()

    with FakeServer(lambda request: next(answers)) as server:
        asyncio.run(session(server.url))
    assert server.descriptions == 2


@pytest.mark.parametrize(("protocol", "chat"), ROUTES)
def test_a_cancelled_call_is_cancelled_and_leaves_the_client_usable(protocol: str, chat: bool) -> None:
    def latency(request: object) -> float:
        return 30.0 if "slow" in str(request) else 0.0

    async def session(url: str) -> str:
        lm = connect(make_spec(protocol, url), {})
        slow = asyncio.create_task(lm.generate(Call("slow", GREEDY, chat=chat)))
        await asyncio.sleep(0.2)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        answer = await lm.generate(Call("fast", GREEDY, chat=chat))
        await lm.close()
        return answer.text

    with FakeServer(lambda request: FakeAnswer("x"), latency=latency) as server:
        assert asyncio.run(session(server.url)) == "x"
