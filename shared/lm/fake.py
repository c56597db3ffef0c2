"""A fake LM server that speaks TGI's and OpenAI's protocols over real HTTP on the loopback interface.

In a test: `with FakeServer() as server: ... server.url ...`. As a process: `python -m shared.lm.fake`, which
prints its URL. What it writes is a function of (prompt, seed, chat), so runs can be repeated.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import threading
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson
import uvloop

from shared.lm.fake_faults import FakeFault as FakeFault  # for those who write a responder
from shared.lm.fake_faults import Faulty, Responder, read_rates
from shared.lm.fake_http import Connection, Received, Reply
from shared.lm.fake_protocols import (
    FakeModel,
    FakeRequest,
    Refused,
    openai_models,
    openai_refusal,
    openai_reply,
    read_openai,
    read_tgi,
    tgi_info,
    tgi_refusal,
    tgi_reply,
    write,
)
from shared.lm.fake_responder import respond as plausible
from shared.lm.fake_usage import UsageMeter

DEFAULT_MODEL = FakeModel()
GENERATING = ("/generate", "/v1/completions", "/v1/chat/completions")
USAGE = "/fake/usage"
FAULTS = "/fake/faults"

Latency = float | Callable[[FakeRequest], float]


def varying(latency_s: float, spread: float, seed: int = 0) -> Latency:
    """A latency that varies evenly by ± the share `spread` of it, the same way for the same seed."""
    chance = random.Random(seed)
    return lambda _: latency_s * chance.uniform(1 - spread, 1 + spread)


class FakeServer:
    """A fake LM server. As a context manager it serves in a thread of its own.

    `respond` says what the LM writes, and `latency` (seconds, or a function of the request) how long that
    takes. Above `slots` calls at once it answers 429. It wants `key` as the key, and `description_fault` is
    what goes wrong with `GET /info` and `GET /v1/models`. With `record`, what came for `GENERATING` paths
    stands in `requests`, in the order of arrival. `GET /fake/usage` tells how many of them there were, and how many
    are and were in flight (`shared.lm.fake_usage`), and `POST /fake/faults` sets what goes wrong from now on, for
    example `{"429": 0.1}` (`shared.lm.fake_faults`). The file `served` gets a line of JSON for each completion that
    was sent whole.
    """

    def __init__(
        self,
        respond: Responder = plausible,
        *,
        latency: Latency = 0.0,
        model: FakeModel = DEFAULT_MODEL,
        slots: int | None = None,
        key: str | None = None,
        description_fault: FakeFault | None = None,
        record: bool = False,
        served: Path | None = None,
    ) -> None:
        self.respond = respond
        self.latency = latency
        self.model = model
        self.slots = slots
        self.key = key
        self.description_fault = description_fault
        self.requests: list[Received] = []
        self.descriptions = 0  # how often it was asked what it serves
        self.url = ""
        self._meter = UsageMeter()
        self._served = served
        self._notes: FileIO | None = None
        self._record = record
        self._connections: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve_in_thread, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop and self._stop and self._thread:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    @property
    def bodies(self) -> list[dict[str, object]]:
        """The recorded requests' JSON."""
        return [json.loads(request.body) for request in self.requests]

    @property
    def in_flight(self) -> int:
        """How many calls for text are being answered."""
        return self._meter.in_flight

    @property
    def most_in_flight(self) -> int:
        """How many there were at most."""
        return self._meter.most_in_flight

    async def serve(self, port: int = 0, on_ready: Callable[[], object] = lambda: None) -> None:
        """Serve on 127.0.0.1 until cancelled, or until the context ends; port 0 takes a free one."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(lambda: Connection(self), "127.0.0.1", port, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with contextlib.ExitStack() as files:
            self._notes = files.enter_context(FileIO(self._served, "a")) if self._served else None
            on_ready()
            try:
                await self._stop.wait()
            finally:
                server.close()
                for connection in list(self._connections):
                    connection.abort()
                await asyncio.sleep(0)  # lets the connections close

    def _serve_in_thread(self, ready: threading.Event) -> None:
        asyncio.run(self.serve(on_ready=ready.set))

    def opened(self, connection: Connection) -> None:
        """A client came."""
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """It went."""
        self._connections.discard(connection)

    def answered(self, received: Received) -> None:
        """A reply is gone."""
        if received.path in GENERATING:
            self._meter.ended()

    def sent(self, reply: Reply) -> None:
        """A reply went whole."""
        if self._notes and reply.note:
            self._notes.write(reply.note + b"\n")

    def answer(self, received: Received) -> Reply:
        """Decide what to reply."""
        if received.path in GENERATING:
            self._meter.began()
        refusal = tgi_refusal if received.path == "/generate" else openai_refusal
        try:
            return self._route(received)
        except Refused as refused:
            return refusal(refused.status, refused.message)

    def _route(self, received: Received) -> Reply:
        if received.path == "/health":
            return Reply(b"")
        if received.path == USAGE:
            return Reply(json.dumps(self._meter.usage().as_json()).encode())
        if received.path == FAULTS and received.method == "POST":
            return self._set_faults(received)
        if self.key and received.headers.get("authorization") != f"Bearer {self.key}":
            raise Refused(401, "the key is wrong")
        if received.method == "GET" and received.path in ("/info", "/v1/models"):
            return self._describe(received.path)
        if received.method == "POST" and received.path in GENERATING:
            return self._generate(received)
        raise Refused(404, f"there is no {received.method} {received.path} here")

    def _set_faults(self, received: Received) -> Reply:
        try:
            rates = read_rates(json.loads(received.body))
        except (ValueError, TypeError, AttributeError) as error:
            raise Refused(422, str(error)) from None
        inner = self.respond.respond if isinstance(self.respond, Faulty) else self.respond
        self.respond = Faulty(inner, rates)
        return Reply(b"{}")

    def _describe(self, path: str) -> Reply:
        self.descriptions += 1
        if self.description_fault:
            return _fault_reply(self.description_fault, 0.0)
        return tgi_info(self.model) if path == "/info" else openai_models(self.model)

    def _generate(self, received: Received) -> Reply:
        if self._record:
            self.requests.append(received)
        if self.slots is not None and self.in_flight > self.slots:
            raise Refused(429, "Model is overloaded")
        try:
            body = orjson.loads(received.body)
        except ValueError:
            raise Refused(400, "Failed to parse the request body as JSON") from None
        if not isinstance(body, dict):
            raise Refused(422, "Failed to deserialize the JSON body into the target type")
        read = read_tgi if received.path == "/generate" else read_openai
        return self._write(read(received.path, body, self.model))

    def _write(self, request: FakeRequest) -> Reply:
        delay_s = self.latency(request) if callable(self.latency) else self.latency
        answer = self.respond(request)
        if isinstance(answer, FakeFault):
            return _fault_reply(answer, delay_s)
        reply = tgi_reply if request.path == "/generate" else openai_reply
        return reply(write(answer, request), request, delay_s=delay_s, note=_note(request) if self._served else b"")


def _fault_reply(fault: FakeFault, delay_s: float) -> Reply:
    return Reply(fault.body, fault.status, fault.content_type, delivery=fault.delivery, delay_s=delay_s)


def _note(request: FakeRequest) -> bytes:
    prompt = hashlib.sha256(request.prompt.encode(errors="replace")).hexdigest()
    return json.dumps({"prompt_sha256": prompt, "seed": request.seed, "chat": request.chat}).encode()


def main() -> None:
    """Serve until interrupted; print the URL on a line of its own."""
    parser = argparse.ArgumentParser(prog="python -m shared.lm.fake", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--spread", type=float, default=0.0, help="by which share of it the latency varies, 0 to 1")
    parser.add_argument("--model", default=DEFAULT_MODEL.model_id)
    parser.add_argument("--slots", type=int, default=None, help="calls at once before it answers 429")
    parser.add_argument("--faults", type=json.loads, default={}, metavar="JSON", help='e.g. {"429": 0.1, "hang": 0.02}')
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--served", type=Path, help="a file that gets a line for each completion that was sent whole")
    given = parser.parse_args()
    latency = varying(given.latency, given.spread) if given.spread else given.latency
    respond = Faulty(plausible, read_rates(given.faults), given.seed) if given.faults else plausible
    model = FakeModel(given.model)
    server = FakeServer(respond, latency=latency, model=model, slots=given.slots, served=given.served)
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(given.port, lambda: print(server.url, flush=True)))


if __name__ == "__main__":
    main()
