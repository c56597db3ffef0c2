"""TGI's own protocol, through huggingface-hub's client.

`/generate` keeps TGI's prefix cache, which its `/v1/completions` switches off. A chat call needs the model's
chat template, which only its `/v1/chat/completions` applies, so those go the way of OpenAI's protocol.
"""

from typing import TypedDict

from huggingface_hub import AsyncInferenceClient, TextGenerationOutput, set_async_client_factory

from shared.lm.api_key import ApiKey
from shared.lm.endpoint import Completion
from shared.lm.errors import Misconfigured, RefusedInput
from shared.lm.http import Connections, JsonClient, make_client, mended_by, prompt_tokens
from shared.lm.openai import OpenAIClient
from shared.lm.protocol import Call, Description
from shared.lm.reading import count_or_none, dig, finish_reason, text, text_or_none

MOST_STOPS = 4
NO_KEY = "none"  # without any, huggingface-hub sends the user's HF_TOKEN to whoever serves the URL


class Parameters(TypedDict, total=False):
    """The arguments of `text_generation` that a call decides."""

    max_new_tokens: int
    do_sample: bool
    temperature: float
    top_k: int
    top_p: float
    stop: list[str]
    seed: int


class TGIClient:
    """One TGI server. `model` is the model id that it must serve, if that matters."""

    def __init__(self, connections: Connections, url: str, model: str | None, key: ApiKey) -> None:
        self.url = url
        self._model = model
        self._connections = connections
        self._hub = AsyncInferenceClient(model=f"{url}/generate", token=key.value or NO_KEY)
        self._http = JsonClient(connections, url, key)
        # TGI takes no `top_k` in a chat, and 422 is its answer to a `top_p` of 1.
        self._chat = OpenAIClient(self._http, url, model, unsupported=frozenset({"top_k", "top_p"}))

    async def describe(self) -> Description:
        """Ask `GET /info`. Raises `Misconfigured` when it serves another model."""
        with mended_by("if it speaks OpenAI's protocol, as vLLM and llama.cpp do, write protocol: openai"):
            info = await self._http.get("/info")
        model_id = text(dig(info, "model_id"))
        if self._model not in (None, model_id):
            raise Misconfigured(self.url, f"it serves {model_id}, not {self._model}")
        return Description(
            endpoint=self.url,
            model_id=model_id,
            model_revision=text_or_none(dig(info, "model_sha")),
            server_version=text_or_none(dig(info, "version")),
            max_input_tokens=count_or_none(dig(info, "max_input_tokens")),
            max_total_tokens=count_or_none(dig(info, "max_total_tokens")),
        )

    async def complete(self, call: Call, served: Description) -> Completion:
        """Ask `/generate`, or `/v1/chat/completions` for a chat call."""
        if len(call.stop) > MOST_STOPS:
            raise RefusedInput(self.url, f"TGI takes {MOST_STOPS} stop sequences, not {len(call.stop)}")
        if call.chat:
            return await self._chat.complete(call, served)
        prompt_tokens.set(None)
        # The hub's client asks this for an httpx2 client at its first call, and keeps it.
        set_async_client_factory(lambda: make_client(self._connections))
        output = await self._hub.text_generation(call.prompt, details=True, return_full_text=False, **parameters(call))
        return completion(output, prompt_tokens.get())

    async def close(self) -> None:
        """Give back the connections."""
        await self._hub.close()  # type: ignore[no-untyped-call]  # the library left it untyped
        await self._connections.close()


def parameters(call: Call) -> Parameters:
    """What is sent with the prompt. TGI refuses a `temperature` of 0 and a `top_p` of 1, and samples as soon
    as any of `temperature`, `top_k` and `top_p` is there, whatever `do_sample` says.
    """
    decoding = call.decoding
    chosen = Parameters(max_new_tokens=decoding.max_new_tokens, do_sample=not decoding.greedy)
    if not decoding.greedy:
        chosen["temperature"] = decoding.temperature
        if decoding.top_k > 0:
            chosen["top_k"] = decoding.top_k
        if decoding.top_p < 1:
            chosen["top_p"] = decoding.top_p
    if call.stop:
        chosen["stop"] = list(call.stop)
    if call.seed is not None:
        chosen["seed"] = call.seed
    return chosen


def completion(output: TextGenerationOutput, prompt_length: int | None) -> Completion:
    """Read an answer; raises `ValueError` on a surprise. huggingface-hub checks no types."""
    details = output.details
    if details is None:
        raise ValueError("its JSON has no details")
    return Completion(
        text=text(output.generated_text),
        finish_reason=finish_reason(details.finish_reason),
        prompt_tokens=prompt_length,
        completion_tokens=count_or_none(details.generated_tokens),
    )
