"""Our TGI server refuses what TGI refuses, in its words."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.local.tgi_protocol import GenerateRequest, Limits, fault_in, fault_in_length

LIMITS = Limits(max_input_tokens=99, max_total_tokens=100)


def asked(inputs: str = "x", **parameters: Any) -> GenerateRequest:
    """A request with these parameters."""
    return GenerateRequest.model_validate({"inputs": inputs, "parameters": parameters})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"temperature": 0}, "`temperature` must be strictly positive"),
        ({"top_p": 1.0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"top_p": 0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"typical_p": 1}, "`typical_p` must be > 0.0 and < 1.0"),
        ({"top_k": 0}, "`top_k` must be strictly positive"),
        ({"repetition_penalty": 0}, "`repetition_penalty` must be strictly positive"),
        ({"frequency_penalty": 3}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
        ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
        ({"stop": list("abcde")}, "`stop` supports up to 4 stop sequences. Given: 5"),
        ({"best_of": 2}, "`best_of` must be > 0 and <= 1. Given: 2"),
        ({"top_n_tokens": 1}, "`top_n_tokens` must be >= 0 and <= 0. Given: 1"),
        ({"truncate": 100}, "`truncate` must be strictly positive and less than 99. Given: 100"),
        ({"grammar": {"type": "regex", "value": "a"}}, "grammar is not supported"),
        ({"adapter_id": "a"}, "`adapter_id` is not supported"),
        ({"watermark": True}, "`watermark` is not supported"),
        ({"inputs": ""}, "`inputs` cannot be empty"),
    ],
)
def test_a_bad_parameter_is_refused(parameters: dict[str, Any], message: str) -> None:
    assert fault_in(asked(**parameters), LIMITS) == message


def test_a_good_request_passes() -> None:
    request = asked(temperature=0.7, top_k=50, top_p=0.9, max_new_tokens=20, stop=["a"], seed=1, details=True)
    assert fault_in(request, LIMITS) is None


def test_null_is_as_good_as_nothing() -> None:
    assert fault_in(asked(temperature=None, top_p=None, top_k=None, seed=None), LIMITS) is None


@pytest.mark.parametrize("parameters", [{"max_new_tokens": -1}, {"seed": -1}, {"stop": "a"}, {"temperature": "hot"}])
def test_a_value_of_another_type_is_no_request(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        asked(**parameters)


def test_nothing_asks_for_sampling_by_default() -> None:
    assert not asked().parameters.sampling


@pytest.mark.parametrize("parameters", [{"do_sample": True}, {"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.5}])
def test_any_warper_asks_for_sampling(parameters: dict[str, Any]) -> None:
    assert asked(**parameters).parameters.sampling


def test_too_long_a_prompt_is_refused() -> None:
    assert fault_in_length(100, 1, LIMITS) == "`inputs` must have less than 99 tokens. Given: 100"


def test_too_long_an_answer_is_refused() -> None:
    assert fault_in_length(50, 51, LIMITS) == (
        "`inputs` tokens + `max_new_tokens` must be <= 100. Given: 50 `inputs` tokens and 51 `max_new_tokens`"
    )


def test_what_fills_the_context_passes() -> None:
    assert fault_in_length(50, 50, LIMITS) is None
