"""One TGI request, answered by llama.cpp's native `/completion`."""

import secrets
from dataclasses import dataclass
from typing import Any

import httpx2

from services.local.tgi_protocol import (
    DEFAULT_NEW_TOKENS,
    FinishReason,
    GenerateParameters,
    GenerateRequest,
    Limits,
    fault_in_length,
)

MOST_SEEDS = 2**32 - 1  # llama.cpp's seeds have 32 bits, and the last one means "any"

MOST_TOKENS = 2**31 - 1


class InvalidInput(Exception):
    """The request is refused; the message is TGI's."""


class GenerationFailed(Exception):
    """The engine did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Generated:
    """An answer in TGI's form, and the counts for its headers."""

    body: dict[str, Any]
    prompt_tokens: int
    generated_tokens: int


class Completer:
    """Speaks to the engine at `address`."""

    def __init__(self, address: str, limits: Limits) -> None:
        self._limits = limits
        # The engine is in this process: proxies of the environment have no business here, and it takes what it takes.
        self._client = httpx2.AsyncClient(base_url=address, timeout=None, trust_env=False)

    async def healthy(self) -> bool:
        """Whether the engine answers."""
        try:
            return bool((await self._client.get("/health", timeout=5)).status_code == 200)
        except httpx2.HTTPError:
            return False

    async def generate(self, request: GenerateRequest) -> Generated:
        """Complete a prompt that `fault_in` let pass; raises InvalidInput, GenerationFailed."""
        asked = request.parameters
        tokens = await self._tokenize(request.inputs)
        if asked.truncate:
            tokens = tokens[-asked.truncate :]
        room = self._limits.max_total_tokens - len(tokens)
        new_tokens = asked.max_new_tokens or max(1, min(DEFAULT_NEW_TOKENS, room))
        if fault := fault_in_length(len(tokens), new_tokens, self._limits):
            raise InvalidInput(fault)
        seed = secrets.randbits(32) if asked.seed is None else asked.seed
        prompt = [token["id"] for token in tokens]
        answer = await self._post("/completion", {"prompt": prompt} | decoding(asked, new_tokens, seed))
        return Generated(
            body_of(request, answer, tokens, seed),
            prompt_tokens=len(tokens),
            generated_tokens=answer["tokens_predicted"],
        )

    async def _tokenize(self, text: str) -> list[dict[str, Any]]:
        answer = await self._post("/tokenize", {"content": text, "add_special": True, "with_pieces": True})
        tokens: list[dict[str, Any]] = answer["tokens"]
        return tokens

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            response = await self._client.post(path, json=body)
        except httpx2.HTTPError as error:
            raise GenerationFailed(repr(error)) from error
        answer: dict[str, Any] = response.json()
        if response.status_code != 200:
            raise GenerationFailed(answer.get("error", {}).get("message", response.text))
        return answer


def decoding(asked: GenerateParameters, new_tokens: int, seed: int) -> dict[str, Any]:
    """The engine's decoding parameters; where TGI has a cut switched off, so has the engine."""
    return {
        "n_predict": new_tokens,
        "stop": asked.stop,
        "seed": seed % MOST_SEEDS,
        "temperature": (1.0 if asked.temperature is None else asked.temperature) if asked.sampling else 0,
        "top_k": asked.top_k or 0,
        "top_p": asked.top_p or 1.0,
        "typical_p": asked.typical_p or 1.0,
        "min_p": 0,
        "repeat_penalty": asked.repetition_penalty or 1.0,
        "repeat_last_n": MOST_TOKENS,  # the whole text
        "frequency_penalty": asked.frequency_penalty or 0,
        "cache_prompt": True,
    }


def body_of(
    request: GenerateRequest, answer: dict[str, Any], prompt: list[dict[str, Any]], seed: int
) -> dict[str, Any]:
    """TGI's answer: the text ends with the stop sequence that ended it."""
    asked = request.parameters
    text = answer["content"] + answer["stopping_word"]
    body: dict[str, Any] = {"generated_text": request.inputs + text if asked.return_full_text else text}
    if asked.details:
        body["details"] = {
            "finish_reason": finish_reason(answer["stop_type"]),
            "generated_tokens": answer["tokens_predicted"],
            "seed": seed if asked.sampling else None,
            "prefill": [prefill(token) for token in prompt] if asked.decoder_input_details else [],
            "tokens": [],
        }
    return body


def finish_reason(stop_type: str) -> FinishReason:
    """TGI's word for llama.cpp's."""
    return {"word": FinishReason.STOP_SEQUENCE, "eos": FinishReason.EOS_TOKEN}.get(stop_type, FinishReason.LENGTH)


def prefill(token: dict[str, Any]) -> dict[str, Any]:
    """A prompt token; a piece that is no text by itself comes as bytes. The engine gives no likelihoods for these."""
    piece = token["piece"]
    text = piece if isinstance(piece, str) else bytes(piece).decode(errors="replace")
    return {"id": token["id"], "text": text, "logprob": None}
