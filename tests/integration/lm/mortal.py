"""A fake LM that dies and comes back at the same address."""

import asyncio
import threading
from contextlib import suppress

from shared.lm.fake import FakeServer
from shared.lm.fake_faults import Responder
from shared.lm.fake_responder import respond as plausible


class MortalServer:
    """As a context manager it is alive at first. `url` stays what it is."""

    def __init__(self, respond: Responder = plausible, latency: float = 0.0) -> None:
        self.url = ""
        self._respond = respond
        self._latency = latency
        self._lives: list[FakeServer] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Task[None] | None = None

    def __enter__(self) -> "MortalServer":
        self.live()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    @property
    def served(self) -> int:
        """How many calls for text reached it in its latest life."""
        return len(self._lives[-1].requests)

    def live(self) -> None:
        """Listen; waits until it does."""
        ready = threading.Event()
        self._lives.append(FakeServer(self._respond, latency=self._latency, record=True))
        port = int(self.url.rpartition(":")[2] or 0)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(port, ready)), daemon=True)
        self._thread.start()
        assert ready.wait(20)
        self.url = self._lives[-1].url

    def die(self) -> None:
        """Stop listening and drop all connections; waits until it has."""
        if self._thread and self._loop and self._serving:
            self._loop.call_soon_threadsafe(self._serving.cancel)
            self._thread.join()
        self._thread = None

    async def _serve(self, port: int, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._serving = asyncio.create_task(self._lives[-1].serve(port, ready.set))
        with suppress(asyncio.CancelledError):
            await self._serving
