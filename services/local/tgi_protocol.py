"""What TGI's `/generate` takes and refuses, in TGI's own words. Pure.

Source: docs/openapi.json and router/src/validation.rs of huggingface/text-generation-inference 3.3.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictBool, StrictFloat, StrictInt, StrictStr

MAX_STOP_SEQUENCES = 4
MAX_BEST_OF = 1
DEFAULT_NEW_TOKENS = 1024

Natural = Annotated[StrictInt, Field(ge=0)]  # Rust's unsigned types refuse the rest before validation proper
Number = StrictFloat | StrictInt


class GenerateParameters(BaseModel):
    """How to decode. Every field may be null, and unknown ones are ignored, as TGI does."""

    adapter_id: StrictStr | None = None
    best_of: Natural | None = None
    decoder_input_details: StrictBool = False
    details: StrictBool = True
    do_sample: StrictBool = False
    frequency_penalty: Number | None = None
    grammar: Any = None
    max_new_tokens: Natural | None = None
    repetition_penalty: Number | None = None
    return_full_text: StrictBool | None = None
    seed: Natural | None = None
    stop: list[StrictStr] = []
    temperature: Number | None = None
    top_k: StrictInt | None = None
    top_n_tokens: Natural | None = None
    top_p: Number | None = None
    truncate: Natural | None = None
    typical_p: Number | None = None
    watermark: StrictBool = False

    @property
    def sampling(self) -> bool:
        """Whether tokens are drawn; TGI takes the likeliest one if nothing asks for more."""
        return self.do_sample or any(
            value is not None for value in (self.temperature, self.top_k, self.top_p, self.typical_p)
        )


class GenerateRequest(BaseModel):
    """The body of POST /generate."""

    inputs: StrictStr
    parameters: GenerateParameters = GenerateParameters()


class FinishReason(StrEnum):
    """Why the text ends."""

    LENGTH = "length"
    EOS_TOKEN = "eos_token"  # noqa: S105  - no secret: the end-of-text token
    STOP_SEQUENCE = "stop_sequence"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long prompts, and prompts with answers, may be; in tokens."""

    max_input_tokens: int
    max_total_tokens: int


def fault_in(request: GenerateRequest, limits: Limits) -> str | None:
    """What is wrong with a request before its tokens are counted; None if nothing is."""
    asked = request.parameters
    checks = [
        (asked.best_of in (None, 1), f"`best_of` must be > 0 and <= {MAX_BEST_OF}. Given: {asked.best_of}"),
        (_above(asked.temperature, 0), "`temperature` must be strictly positive"),
        (_above(asked.repetition_penalty, 0), "`repetition_penalty` must be strictly positive"),
        (_within(asked.frequency_penalty), "`frequency_penalty` must be >= -2.0 and <= 2.0"),
        (_share(asked.top_p), "`top_p` must be > 0.0 and < 1.0"),
        (_share(asked.typical_p), "`typical_p` must be > 0.0 and < 1.0"),
        (_above(asked.top_k, 0), "`top_k` must be strictly positive"),
        (_above(asked.max_new_tokens, 0), "`max_new_tokens` must be strictly positive"),
        (
            len(asked.stop) <= MAX_STOP_SEQUENCES,
            f"`stop` supports up to {MAX_STOP_SEQUENCES} stop sequences. Given: {len(asked.stop)}",
        ),
        (not asked.top_n_tokens, f"`top_n_tokens` must be >= 0 and <= 0. Given: {asked.top_n_tokens}"),
        (request.inputs != "", "`inputs` cannot be empty"),
        (
            asked.truncate is None or 0 < asked.truncate <= limits.max_input_tokens,
            f"`truncate` must be strictly positive and less than {limits.max_input_tokens}. Given: {asked.truncate}",
        ),
        (asked.grammar is None, "grammar is not supported"),
        (asked.adapter_id is None, "`adapter_id` is not supported"),
        (not asked.watermark, "`watermark` is not supported"),
    ]
    return next((message for holds, message in checks if not holds), None)


def fault_in_length(input_tokens: int, new_tokens: int, limits: Limits) -> str | None:
    """What is wrong with a request's length; None if nothing is."""
    if input_tokens > limits.max_input_tokens:
        return f"`inputs` must have less than {limits.max_input_tokens} tokens. Given: {input_tokens}"
    if input_tokens + new_tokens > limits.max_total_tokens:
        return (
            f"`inputs` tokens + `max_new_tokens` must be <= {limits.max_total_tokens}. "
            f"Given: {input_tokens} `inputs` tokens and {new_tokens} `max_new_tokens`"
        )
    return None


def _above(value: float | None, least: float) -> bool:
    return value is None or value > least


def _share(value: float | None) -> bool:
    return value is None or 0 < value < 1


def _within(value: float | None) -> bool:
    return value is None or -2 <= value <= 2
