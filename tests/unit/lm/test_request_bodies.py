from shared.lm.openai import request_body
from shared.lm.protocol import Call
from shared.lm.tgi import parameters
from shared.method.decoding import Decoding

SAMPLED = Decoding(temperature=0.7, top_k=50, top_p=1.0, max_new_tokens=256)
GREEDY = Decoding(temperature=0, max_new_tokens=64)
UNCUT = Decoding(temperature=0.7, top_k=0, top_p=1.0, max_new_tokens=256)


def test_tgi_is_not_sent_a_top_p_of_one() -> None:
    sent = parameters(Call("p", SAMPLED, stop=("\n",), seed=7))
    expected = {"max_new_tokens": 256, "do_sample": True, "temperature": 0.7, "top_k": 50}
    assert sent == expected | {"stop": ["\n"], "seed": 7}


def test_tgi_is_sent_a_top_p_that_cuts() -> None:
    assert parameters(Call("p", SAMPLED.model_copy(update={"top_p": 0.9})))["top_p"] == 0.9


def test_tgi_is_sent_nothing_that_makes_it_sample_when_greedy() -> None:
    assert parameters(Call("p", GREEDY)) == {"max_new_tokens": 64, "do_sample": False}


def test_tgi_is_not_sent_a_top_k_of_zero() -> None:
    assert "top_k" not in parameters(Call("p", UNCUT))


def test_openai_is_sent_cuts_that_are_switched_off() -> None:
    body = request_body(Call("p", UNCUT, seed=7), "m")
    expected = {"model": "m", "prompt": "p", "max_tokens": 256, "temperature": 0.7}
    assert body == expected | {"top_p": 1.0, "top_k": 0, "seed": 7}


def test_openai_is_sent_a_temperature_of_zero_and_no_cuts_when_greedy() -> None:
    body = request_body(Call("p", GREEDY, stop=("\n", "[END]")), "m")
    expected = {"model": "m", "prompt": "p", "max_tokens": 64, "temperature": 0}
    assert body == expected | {"stop": ["\n", "[END]"]}


def test_a_chat_call_is_one_user_message() -> None:
    body = request_body(Call("p", GREEDY, chat=True), "m")
    assert body["messages"] == [{"role": "user", "content": "p"}]
    assert "prompt" not in body
