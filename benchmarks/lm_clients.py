"""CPU of the caller per LM call, against the fake server in a process of its own.

    python benchmarks/lm_clients.py --calls 2000 --out lm_clients.json

With hundreds of calls in flight the caller's CPU is what limits a worker, so that is what is measured:
`time.process_time` over all calls, divided by their number, after a warm-up.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2
from huggingface_hub import AsyncInferenceClient

from shared.job import ModelSpec
from shared.lm.connect import connect
from shared.lm.protocol import Call
from shared.method.decoding import Decoding

TASK = "Rewrite the given sentence so that it is polite and shorter than before."
PROMPT = "\n\n".join(f"Task {number}: {TASK}" for number in range(1, 25)) + "\n\nTask 25:"
DECODING = Decoding()
STOP = ("\nTask ",)
OneCall = Callable[[int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Row:
    """One client's cost. `calls_per_s` is what this machine gave; quote ratios of `cpu_ms`."""

    client: str
    calls: int
    in_flight: int
    cpu_ms: float
    calls_per_s: float


def hub_bare(url: str, stack: AsyncExitStack) -> OneCall:
    """huggingface-hub's client as its documentation shows it."""
    client = AsyncInferenceClient(model=f"{url}/generate", token="none", timeout=60)  # noqa: S106  # no secret
    stack.push_async_callback(client.close)
    return lambda seed: client.text_generation(
        PROMPT, details=True, max_new_tokens=256, stop=list(STOP), seed=seed, temperature=0.7, top_k=50
    )


def httpx2_bare(url: str, stack: AsyncExitStack) -> OneCall:
    """httpx2 and nothing else, as huggingface-hub uses it."""
    client = httpx2.AsyncClient(trust_env=False, timeout=60)
    stack.push_async_callback(client.aclose)

    async def one(seed: int) -> object:
        body = {"model": "fake/model", "prompt": PROMPT, "max_tokens": 256, "stop": STOP, "seed": seed}
        response = await client.post(f"{url}/v1/completions", json=body)
        return response.json()

    return one


def ours(protocol: str) -> Callable[[str, AsyncExitStack], OneCall]:
    """This project's client, with its checks, its error classes and its lineage."""

    def build(url: str, stack: AsyncExitStack) -> OneCall:
        spec = {"protocol": protocol, "kind": "vanilla", "endpoints": [url]}
        lm = connect(ModelSpec.model_validate(spec))
        stack.push_async_callback(lm.close)
        return lambda seed: lm.generate(Call(PROMPT, DECODING, STOP, seed))

    return build


CLIENTS: dict[str, Callable[[str, AsyncExitStack], OneCall]] = {
    "httpx2, bare": httpx2_bare,
    "shared.lm over OpenAI's protocol": ours("openai"),
    "huggingface-hub, bare": hub_bare,
    "shared.lm over TGI's protocol (huggingface-hub on our client)": ours("tgi"),
}


async def measure(name: str, url: str, calls: int, in_flight: int) -> Row:
    """Keep `in_flight` calls going until `calls` are done."""
    async with AsyncExitStack() as stack:
        one = CLIENTS[name](url, stack)
        await keep_going(one, max(50, calls // 10), in_flight)
        cpu, wall = time.process_time(), time.perf_counter()
        await keep_going(one, calls, in_flight)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Row(name, calls, in_flight, round(1000 * cpu / calls, 3), round(calls / wall, 1))


async def keep_going(one: OneCall, calls: int, in_flight: int) -> None:
    """Make `calls` calls from `in_flight` slots."""
    seeds = iter(range(1, calls + 1))

    async def slot() -> None:
        for seed in seeds:
            await one(seed)

    await asyncio.gather(*(slot() for _ in range(in_flight)))


def main() -> None:
    """Measure every client, print a table, write the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    command = [sys.executable, "-m", "shared.lm.fake"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = server.stdout.readline().strip() if server.stdout else ""
            rows = [asyncio.run(measure(name, url, given.calls, given.in_flight)) for name in CLIENTS]
        finally:
            server.terminate()
    print(f"{'client':<50}{'CPU ms/call':>12}{'calls/s':>10}")
    for row in rows:
        print(f"{row.client:<50}{row.cpu_ms:>12.3f}{row.calls_per_s:>10.0f}")
    if given.out:
        given.out.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
