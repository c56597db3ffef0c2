"""How TGI and OpenAI-compatible servers word requests, answers and refusals, for the fake to say the same."""

import json
import re
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

import orjson

from shared.lm.fake_http import Reply
from shared.lm.protocol import FinishReason

MOST_STOPS = 4
_WORDS = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class FakeModel:
    """What a fake server says of itself. `others` are further models of an OpenAI-compatible one."""

    model_id: str = "fake/model"
    revision: str = "5f3c0ad2e1b4c6d7988a0b1c2d3e4f5061728394"
    version: str = "3.3.6-fake"
    max_input_tokens: int = 16_384
    max_total_tokens: int = 20_480
    others: tuple[str, ...] = ()
    refuses: frozenset[str] = field(default_factory=frozenset)  # parameters that it answers 400 to


@dataclass(frozen=True, slots=True)
class FakeRequest:
    """A request for text, in either protocol. `body` is the JSON as it came."""

    path: str
    prompt: str
    chat: bool
    seed: int | None
    stop: tuple[str, ...]
    max_new_tokens: int
    body: dict[str, object]


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """What a fake LM would write, had it no limit and no stop sequences."""

    text: str
    finish_reason: FinishReason = FinishReason.STOP


@dataclass(frozen=True, slots=True)
class Written:
    """What it did write: `stop` is the sequence that ended it, which is not in `text`."""

    text: str
    stop: str
    finish_reason: FinishReason
    tokens: int


class Sending(TypedDict, total=False):
    """How a reply goes out: as `Reply` has it."""

    delay_s: float
    note: bytes


class Refused(Exception):
    """A request that a real server would refuse."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def write(answer: FakeAnswer, request: FakeRequest) -> Written:
    """Apply the limit, then the stop sequences; a token is a word between white space."""
    text, reason = answer.text, answer.finish_reason
    if len(text) > request.max_new_tokens and len(text.split()) > request.max_new_tokens:
        words = [match.end() for match in _WORDS.finditer(text)]
        text, reason = text[: words[request.max_new_tokens - 1]], FinishReason.LENGTH
    ends = [(at, stop) for stop in request.stop if (at := text.find(stop)) >= 0]
    at, stop = min(ends, default=(len(text), ""))
    if stop:
        text, reason = text[:at], FinishReason.STOP
    return Written(text, stop, reason, len(text.split()))


def read_tgi(path: str, body: dict[str, object], model: FakeModel) -> FakeRequest:
    """Read and check a `/generate` request as TGI's router/src/validation.rs does."""
    inputs, given = body.get("inputs"), body.get("parameters") or {}
    if not isinstance(inputs, str) or not isinstance(given, dict):
        raise Refused(422, "Failed to deserialize the JSON body into the target type")
    limit, stop, seed = given.get("max_new_tokens", 1024), given.get("stop") or [], given.get("seed")
    wrong = {
        "`temperature` must be strictly positive": _number(given, "temperature", 1.0) <= 0,
        "`top_p` must be > 0.0 and < 1.0": not 0 < _number(given, "top_p", 0.5) < 1,
        "`top_k` must be strictly positive": _number(given, "top_k", 1) <= 0,
        "`max_new_tokens` must be strictly positive": not isinstance(limit, int) or limit < 1,
        f"`stop` supports up to {MOST_STOPS} stop sequences. Given: {len(stop)}": len(stop) > MOST_STOPS,
        "`seed` must be an integer that is not negative": seed is not None and not _is_count(seed),
        "`inputs` cannot be empty": not inputs,
        f"`inputs` must have less than {model.max_input_tokens} tokens": _long(inputs, model),
    }
    for message, applies in wrong.items():
        if applies:
            raise Refused(422, f"Input validation error: {message}")
    return FakeRequest(path, inputs, False, seed, tuple(stop), limit, body)


def read_openai(path: str, body: dict[str, object], model: FakeModel) -> FakeRequest:
    """Read and check a request for a completion or a chat completion, as vLLM does."""
    wanted = body.get("model")
    if wanted not in (model.model_id, *model.others):
        raise Refused(404, f"The model `{wanted}` does not exist.")
    for name in sorted(model.refuses & body.keys()):
        raise Refused(400, f"Unrecognized request argument supplied: {name}")
    chat = path.endswith("/chat/completions")
    prompt, limit, seed = _prompt(body, chat), body.get("max_tokens", 16), body.get("seed")
    stop = body.get("stop") or []
    if not isinstance(prompt, str) or not isinstance(limit, int) or limit < 1 or not isinstance(stop, list):
        raise Refused(400, "prompt, max_tokens or stop is missing or of a wrong kind")
    if _number(body, "temperature", 1) < 0 or not 0 < _number(body, "top_p", 1) <= 1:
        raise Refused(400, "temperature must be non-negative and top_p in (0, 1]")
    if _long(prompt, model):
        raise Refused(400, f"This model's maximum context length is {model.max_input_tokens} tokens.")
    return FakeRequest(path, prompt, chat, seed if isinstance(seed, int) else None, tuple(stop), limit, body)


def tgi_reply(written: Written, request: FakeRequest, **sent: Unpack[Sending]) -> Reply:
    """TGI's answer, whose text ends with the stop sequence."""
    reason = "stop_sequence" if written.stop else "eos_token"
    details = {
        "finish_reason": "length" if written.finish_reason is FinishReason.LENGTH else reason,
        "generated_tokens": written.tokens,
        "seed": request.seed,
        "prefill": [],
        "tokens": [],
    }
    body = {"generated_text": written.text + written.stop, "details": details}
    return json_reply(body, headers=(("x-prompt-tokens", str(_prompt_tokens(request.prompt))),), **sent)


def openai_reply(written: Written, request: FakeRequest, **sent: Unpack[Sending]) -> Reply:
    """An OpenAI-compatible server's answer, whose text ends before the stop sequence."""
    content = (
        {"message": {"role": "assistant", "content": written.text}}
        if request.chat
        else {"text": written.text, "logprobs": None}
    )
    prompt_tokens = _prompt_tokens(request.prompt)
    body = {
        "id": "fake-1",
        "object": "chat.completion" if request.chat else "text_completion",
        "created": 0,
        "model": request.body.get("model"),
        "choices": [{"index": 0, "finish_reason": written.finish_reason.value, **content}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": written.tokens,
            "total_tokens": prompt_tokens + written.tokens,
        },
    }
    return json_reply(body, **sent)


def tgi_info(model: FakeModel) -> Reply:
    """What `GET /info` answers."""
    return json_reply(
        {
            "model_id": model.model_id,
            "model_sha": model.revision,
            "model_pipeline_tag": "text-generation",
            "max_concurrent_requests": 128,
            "max_best_of": 2,
            "max_stop_sequences": MOST_STOPS,
            "max_input_tokens": model.max_input_tokens,
            "max_total_tokens": model.max_total_tokens,
            "validation_workers": 2,
            "max_client_batch_size": 4,
            "router": "text-generation-router",
            "version": model.version,
            "sha": None,
            "docker_label": None,
        }
    )


def openai_models(model: FakeModel) -> Reply:
    """What `GET /v1/models` answers."""
    listed = [{"id": name, "object": "model", "created": 0} for name in (model.model_id, *model.others)]
    return json_reply({"object": "list", "data": listed})


def tgi_refusal(status: int, message: str) -> Reply:
    """TGI's refusal."""
    kinds = {422: "validation", 429: "overloaded", 424: "generation", 500: "incomplete_generation"}
    return json_reply({"error": message, "error_type": kinds.get(status, "unknown")}, status)


def openai_refusal(status: int, message: str) -> Reply:
    """An OpenAI-compatible server's refusal."""
    return json_reply({"error": {"message": message, "type": "invalid_request_error", "code": status}}, status)


def json_reply(
    body: object, status: int = 200, headers: tuple[tuple[str, str], ...] = (), **sent: Unpack[Sending]
) -> Reply:
    """`body` as JSON."""
    try:
        written = orjson.dumps(body)
    except TypeError:  # half a surrogate pair, which a real server may send, too
        written = json.dumps(body).encode()
    return Reply(written, status, headers=headers, **sent)


def _prompt_tokens(prompt: str) -> int:
    """Words, and empty lines too: cheaper than to look at every word."""
    return prompt.count(" ") + prompt.count("\n") + 1


def _prompt(body: dict[str, object], chat: bool) -> object:
    if not chat:
        return body.get("prompt")
    messages = body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    return last.get("content") if isinstance(last, dict) else None


def _number(given: dict[str, object], name: str, default: float) -> float:
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(422, f"Failed to deserialize the JSON body: {name} is not a number")
    return value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _long(prompt: str, model: FakeModel) -> bool:
    # A word has at least one character and one space, so a short prompt need not be counted.
    return len(prompt) > 2 * model.max_input_tokens and len(prompt.split()) > model.max_input_tokens
