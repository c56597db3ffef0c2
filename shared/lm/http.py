"""The HTTP client beneath both protocols: its limits, its patience, and its check of the status."""

import ssl
from contextvars import ContextVar
from functools import lru_cache

import httpx2

from shared.lm.api_key import ApiKey

CONNECT_TIMEOUT_S = 10.0
# No ceiling on connections: the callers' slots are the limit, and waiting here would look like a slow server.
# Idle ones go before the 5 s after which uvicorn and llama.cpp close them, so that no call races with that.
LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=4.0)

prompt_tokens: ContextVar[int | None] = ContextVar("prompt_tokens", default=None)
"""What the last answer in this task said in `x-prompt-tokens`: TGI's body has no place for it."""


class StatusError(Exception):
    """A server answered with something else than success."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.text = body.decode(errors="replace")


def patience(timeout_s: float) -> httpx2.Timeout:
    """Time-outs for a call that may take `timeout_s` in all; a host that isn't there is found out sooner."""
    return httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # takes 90 ms, which should not count as the first call's latency


def make_client() -> httpx2.AsyncClient:
    """A client that raises `StatusError` itself, so that errors look the same whoever calls through it."""
    return httpx2.AsyncClient(
        verify=_tls(),
        limits=LIMITS,
        timeout=patience(CONNECT_TIMEOUT_S),
        trust_env=False,  # no proxy and no .netrc login that nobody asked for
        event_hooks={"response": [_check_status, _note_prompt_tokens]},
    )


async def _check_status(response: httpx2.Response) -> None:
    if response.status_code >= 300:
        raise StatusError(response.status_code, await response.aread())


async def _note_prompt_tokens(response: httpx2.Response) -> None:
    count = response.headers.get("x-prompt-tokens", "")
    prompt_tokens.set(int(count) if count.isdecimal() and len(count) < 10 else None)


class JsonClient:
    """GET and POST of JSON below one base address, with the server's key if it has one."""

    def __init__(self, base: str, key: ApiKey, timeout_s: float) -> None:
        self._base = base
        self._headers = {"authorization": f"Bearer {key.value}"} if key.value else {}
        self._timeout = patience(timeout_s)
        self._http = make_client()

    async def get(self, path: str) -> object:
        """The JSON at `path`."""
        response = await self._http.get(self._base + path, headers=self._headers, timeout=self._timeout)
        return response.json()

    async def post(self, path: str, body: dict[str, object]) -> object:
        """The JSON that `path` answers to `body`."""
        response = await self._http.post(self._base + path, json=body, headers=self._headers, timeout=self._timeout)
        return response.json()

    async def close(self) -> None:
        """Give back the connections."""
        await self._http.aclose()
