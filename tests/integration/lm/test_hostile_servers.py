"""Whatever bytes a server sends, a call ends with an answer or an `LMError`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.lm.connect import connect
from shared.lm.errors import LMError, Unreachable
from shared.lm.fake import FakeFault, FakeServer
from shared.lm.fake_http import Delivery
from shared.lm.protocol import Call, LanguageModel
from shared.method.decoding import Decoding
from tests.integration.lm.session import ask, make_spec

T = TypeVar("T")
STOPS = ("\n", "ab")
KEYS = st.sampled_from(
    [
        "generated_text",
        "details",
        "finish_reason",
        "generated_tokens",
        "choices",
        "text",
        "message",
        "content",
        "usage",
        "prompt_tokens",
        "error",
        "error_type",
        "data",
        "id",
        "model_id",
        "update",
        "get",
        "__dict__",
    ]
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["stop", "length", "eos_token", "generation"])
)  # fmt: skip  # one to a line would be a page
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)
BODIES = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())
FAULTS = st.builds(
    FakeFault,
    status=st.sampled_from([200, 200, 200, 204, 301, 400, 418, 422, 429, 500, 503, 999]),
    body=BODIES,
    delivery=st.sampled_from([Delivery.WHOLE, Delivery.WHOLE, Delivery.WHOLE, Delivery.HALF, Delivery.DROPPED]),
)
Try = Callable[[FakeFault, bool], None]


@pytest.fixture(scope="module", params=["tgi", "openai"])
def attempt(request: pytest.FixtureRequest) -> Iterator[Try]:
    """Tries a fault on one client of one server, at every place where it can strike."""
    with FakeServer() as server, asyncio.Runner() as runner:
        lm = runner.run(_connect(request.param, server.url))

        def run(fault: FakeFault, chat: bool) -> None:
            server.respond = lambda _: fault
            runner.run(_end_well(lm, Call("p", Decoding(temperature=0), stop=STOPS, seed=1, chat=chat)))
            server.description_fault = fault
            runner.run(_describe_well(lm))
            server.description_fault = None

        yield run
        runner.run(lm.close())


async def _connect(protocol: str, url: str) -> LanguageModel:
    return connect(make_spec(protocol, url, timeout_s=5), {})


async def _end_well(lm: LanguageModel, call: Call) -> None:
    ended = await _caught(lm.generate(call))
    if isinstance(ended, LMError):
        assert len(ended.detail) <= 300
        assert ended.detail.isprintable()
    else:
        assert not any(stop in ended.text for stop in STOPS)
        assert "\x00" not in ended.text.encode().decode()


def test_a_server_that_does_not_say_what_it_serves_is_away_and_no_call_has_timed_out() -> None:
    with FakeServer() as server:
        server.description_fault = FakeFault(delivery=Delivery.HUNG)
        with pytest.raises(Unreachable, match=r"did not say within 0\.2 s what it serves"):
            ask("tgi", server.url, Call("p", Decoding(temperature=0)), timeout_s=0.2)


async def _describe_well(lm: LanguageModel) -> None:
    ended = await _caught(lm.describe())
    assert isinstance(ended, LMError) or ended[0].model_id


async def _caught(question: Awaitable[T]) -> T | LMError:
    try:
        return await question
    except LMError as error:
        return error


@settings(max_examples=150)
@given(fault=FAULTS, chat=st.booleans())
def test_any_bytes_end_in_an_answer_or_an_lm_error(attempt: Try, fault: FakeFault, chat: bool) -> None:
    attempt(fault, chat)


@pytest.mark.parametrize("chat", [False, True])
def test_right_keys_with_wrong_values_end_well(attempt: Try, chat: bool) -> None:
    wrong: list[object] = [None, True, -1, 2**70, 1.5, "", "\ud800", "a\x00", [], {}, [[]], {"a": 1}]
    tgi = (
        {"generated_text": "x", "details": {"finish_reason": "length", "generated_tokens": 1}} | {key: value}
        for key in ("generated_text", "details")
        for value in wrong
    )
    openai = (
        {"choices": [{"text": "x", "message": {"content": "x"}, "finish_reason": "stop"} | {key: value}]}
        for key in ("text", "message", "finish_reason")
        for value in wrong
    )
    for body in chain(tgi, openai):
        attempt(FakeFault(body=json.dumps(body).encode()), chat)
