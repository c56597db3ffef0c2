"""A TCP proxy between the workers and their broker that can hang, and deliver each message twice."""

import asyncio
import threading
from types import TracebackType
from typing import Self

CHUNK = 1 << 16


class Proxy:
    """Passes bytes on to a port on this machine. As a context manager it serves in a thread of its own.

    While it `swallows`, it accepts connections and says nothing; those that were open then stay dumb for ever, as those
    of a host that has died. With `doubles`, whatever is pushed on a list is pushed twice.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.swallows = False
        self.doubles = False
        self.doubled = 0
        self._target = target
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(self)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(line.pump(reader, back, Pushes(self)), line.pump(there, writer, None))
        finally:
            writer.close()
            back.close()


class _Line:
    """One client's connection, in both directions."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._dumb = False

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, pushes: "Pushes | None") -> None:
        try:
            while data := await source.read(CHUNK):
                self._dumb = self._dumb or self._proxy.swallows
                if not self._dumb:
                    sink.write(pushes.doubled(data) if pushes else data)
                    await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


class Pushes:
    """A client's commands in Redis's protocol, each LPUSH of one value made one of two."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._buffer = b""

    def doubled(self, data: bytes) -> bytes:
        """What to pass on of what came; half a command waits for its other half."""
        self._buffer += data
        passed = b""
        while (command := _first_command(self._buffer)) is not None:
            words, length = command
            raw, self._buffer = self._buffer[:length], self._buffer[length:]
            passed += self._rewritten(words, raw)
        return passed

    def _rewritten(self, words: list[bytes], raw: bytes) -> bytes:
        if not self._proxy.doubles or len(words) != 3 or words[0].upper() != b"LPUSH":
            return raw
        self._proxy.doubled += 1
        return _command([*words, words[2]])


def _command(words: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _first_command(buffer: bytes) -> tuple[list[bytes], int] | None:
    """The words of the first command and its length in bytes; `None` until it is there."""
    head, found, _ = buffer.partition(b"\r\n")
    if not found:
        return None
    words, at = [], len(head) + 2
    for _ in range(int(head[1:])):
        end = buffer.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(buffer[at + 1 : end])
        at = end + 2 + size + 2
        if len(buffer) < at:
            return None
        words.append(buffer[end + 2 : at - 2])
    return words, at
