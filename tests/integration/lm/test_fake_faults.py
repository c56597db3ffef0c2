"""The harm that the fake LM does on demand, and its account of what it served."""

import json
import urllib.request
from hashlib import sha256
from pathlib import Path

import pytest

from shared.lm.errors import Fault, LMError
from shared.lm.fake import FAULTS, FakeServer
from shared.lm.fake_faults import Faulty, Harm, read_rates
from shared.lm.fake_responder import respond
from shared.lm.protocol import Call, FinishReason
from shared.method.decoding import Decoding
from tests.integration.lm.session import ask

CALL = Call("Task: Say hello to everybody.", Decoding(temperature=0, max_new_tokens=64), seed=5)
TOLD = {
    Harm.OVERLOADED: Fault.OVERLOADED,
    Harm.UNAVAILABLE: Fault.OVERLOADED,
    Harm.BROKEN: Fault.BROKEN_ANSWER,
    Harm.REFUSED: Fault.REFUSED_INPUT,
    Harm.DROPPED: Fault.BROKEN_ANSWER,
    Harm.HALF: Fault.BROKEN_ANSWER,
    Harm.NONSENSE: Fault.BROKEN_ANSWER,
    Harm.HANG: Fault.TIMED_OUT,
}


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
@pytest.mark.parametrize("harm", TOLD)
def test_each_harm_is_the_fault_that_a_real_server_would_cause(protocol: str, harm: Harm, tmp_path: Path) -> None:
    served = tmp_path / "served"
    with FakeServer(Faulty(respond, {harm: 1}), served=served) as server, pytest.raises(LMError) as raised:
        ask(protocol, server.url, CALL, timeout_s=0.5)
    assert raised.value.fault is TOLD[harm]
    assert served.read_text() == ""


def test_a_truncated_answer_stops_at_its_limit() -> None:
    with FakeServer(Faulty(respond, {Harm.TRUNCATED: 1})) as server:
        (answer,) = ask("tgi", server.url, CALL)
    assert answer.finish_reason is FinishReason.LENGTH


def test_what_was_sent_whole_is_noted(tmp_path: Path) -> None:
    served = tmp_path / "served"
    with FakeServer(served=served) as server:
        ask("tgi", server.url, CALL, CALL)
    line = {"prompt_sha256": sha256(CALL.prompt.encode()).hexdigest(), "seed": 5, "chat": False}
    assert [{**line, **json.loads(each)} for each in served.read_text().splitlines()] == [line, line]


def test_faults_are_set_while_it_serves() -> None:
    with FakeServer() as server:
        ask("openai", server.url, CALL)
        order = urllib.request.Request(server.url + FAULTS, b'{"500": 1}')  # noqa: S310 - our own server
        urllib.request.urlopen(order).close()  # noqa: S310 - the same
        with pytest.raises(LMError):
            ask("openai", server.url, CALL)


def test_the_same_seed_does_the_same_harm_and_a_retry_has_luck_of_its_own() -> None:
    def harmed(seed: int) -> list[bool]:
        faulty = Faulty(respond, {Harm.BROKEN: 0.5}, seed)
        with FakeServer(faulty) as server:
            return [_fails(server.url) for _ in range(12)]

    assert harmed(1) == harmed(1) != harmed(2)
    assert {True, False} == set(harmed(1))


def _fails(url: str) -> bool:
    try:
        ask("openai", url, CALL)
    except LMError:
        return True
    return False


@pytest.mark.parametrize("rates", [{"429": -0.1}, {"429": 0.6, "500": 0.6}, {"fire": 0.1}])
def test_rates_that_make_no_sense_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"rates|fire"):
        read_rates(rates)
