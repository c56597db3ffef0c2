"""OpenAI's protocol, as vLLM, llama.cpp, SGLang, TGI and others serve it.

The vendor's own SDK costs two to three times the CPU per call (benchmarks/lm_clients.py) for nothing we use.
"""

from shared.lm.endpoint import Completion
from shared.lm.errors import Misconfigured
from shared.lm.http import JsonClient, StatusError, mended_by
from shared.lm.protocol import Call, Description
from shared.lm.reading import count_or_none, dig, dig_or_none, finish_reason, text


class OpenAIClient:
    """One OpenAI-compatible server. `model` is the name to ask for; without it, the only one served."""

    def __init__(
        self, http: JsonClient, url: str, model: str | None, unsupported: frozenset[str] = frozenset()
    ) -> None:
        self.url = url
        self._http = http
        self._prefix = "" if url.endswith("/v1") else "/v1"
        self._model = model
        self._unsupported = unsupported

    async def describe(self) -> Description:
        """Ask `GET /v1/models`. Raises `Misconfigured` when the LM that is wanted is not among them."""
        with mended_by("if it speaks TGI's own protocol, write protocol: tgi"):
            entries = dig(await self._http.get(f"{self._prefix}/models"), "data")
        if not isinstance(entries, list):
            raise ValueError("its JSON has no list of models")
        models = {text(dig(entry, "id")): entry for entry in entries}
        chosen = self._choose(list(models))
        return Description(
            endpoint=self.url,
            model_id=chosen,
            model_revision=None,
            server_version=None,
            max_input_tokens=None,
            max_total_tokens=count_or_none(dig_or_none(models[chosen], "max_model_len")),  # vLLM's word
        )

    async def complete(self, call: Call, served: Description) -> Completion:
        """Ask `/v1/completions`, or `/v1/chat/completions` for a chat call."""
        body = request_body(call, served.model_id)
        path = f"{self._prefix}/{'chat/completions' if call.chat else 'completions'}"
        while True:
            left_out = self._left_out(body)
            sent = {name: value for name, value in body.items() if name not in left_out}
            try:
                return completion(await self._http.post(path, sent), chat=call.chat)
            except StatusError as refused:
                if not self._learn(refused, sent):
                    raise

    async def close(self) -> None:
        """Give back the connections."""
        await self._http.close()

    def _choose(self, models: list[str]) -> str:
        if self._model is None and len(models) == 1:
            return models[0]
        if self._model in models:
            return str(self._model)
        wanted = f"not {self._model}" if self._model else "so the job must name one as its 'model'"
        raise Misconfigured(self.url, f"it serves {', '.join(sorted(models)[:10]) or 'no model'}, {wanted}")

    def _left_out(self, body: dict[str, object]) -> frozenset[str]:
        """What the server is known not to take: `top_k`, and a `top_p` that changes nothing."""
        return self._unsupported - ({"top_p"} if body.get("top_p") != 1 else set())

    def _learn(self, refused: StatusError, sent: dict[str, object]) -> bool:
        """Whether the server named a parameter that it can do without; OpenAI's own knows no `top_k`."""
        if refused.status not in (400, 422):
            return False
        named = {name for name in ("top_k", "top_p") if name in sent and name in refused.text}
        if sent.get("top_p") != 1:
            named.discard("top_p")
        self._unsupported |= named
        return bool(named)


def request_body(call: Call, model: str | None) -> dict[str, object]:
    """The JSON that asks for `call`.

    Cuts that are switched off are sent too: left out, llama.cpp takes a `top_k` of 40 and a `top_p` of 0.95,
    and vLLM what the model's own generation_config.json says.
    """
    decoding = call.decoding
    body: dict[str, object] = {"model": model, "max_tokens": decoding.max_new_tokens}
    if call.chat:
        body["messages"] = [{"role": "user", "content": call.prompt}]
    else:
        body["prompt"] = call.prompt
    body["temperature"] = decoding.temperature
    if not decoding.greedy:
        body |= {"top_p": decoding.top_p, "top_k": decoding.top_k}
    if call.stop:
        body["stop"] = list(call.stop)
    if call.seed is not None:
        body["seed"] = call.seed
    return body


def completion(answered: object, chat: bool) -> Completion:
    """Read an answer; raises `ValueError` on a surprise. `usage` may be missing."""
    return Completion(
        text=text(dig(answered, "choices", 0, *(("message", "content") if chat else ("text",)))),
        finish_reason=finish_reason(dig(answered, "choices", 0, "finish_reason")),
        prompt_tokens=count_or_none(dig_or_none(answered, "usage", "prompt_tokens")),
        completion_tokens=count_or_none(dig_or_none(answered, "usage", "completion_tokens")),
    )
