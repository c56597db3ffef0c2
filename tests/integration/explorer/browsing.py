"""A reader of the explorer's pages: asks for them over HTTP, and reads them strictly."""

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin

from starlette.types import ASGIApp

from services.explorer.serve import address_of, listen, server_of
from shared.settings import Address

TIMEOUT_S = 30
VOID = {"meta", "link", "input", "br", "img", "rect"}  # that our pages use


class Page(HTMLParser):
    """A page as it was sent: its elements, and its text by the elements that hold it. It has to be well-formed."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__()
        self.status, self.headers, self.body = status, headers, body.decode()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self._open: list[str] = []
        if "html" in headers.get("content-type", ""):
            self.feed(self.body)
            self.close()
            assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element without content."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """The element that began last ends."""
        assert self._open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        """Text."""
        self.texts.append((tuple(self._open), data))

    @property
    def text(self) -> str:
        """All that can be read, in one line."""
        return " ".join(" ".join(data for _, data in self.texts).split())

    def all(self, *tags: str) -> list[dict[str, str]]:
        """The attributes of each element of these names."""
        return [attributes for tag, attributes in self.elements if tag in tags]

    def within(self, tag: str) -> str:
        """The text in elements of a name."""
        return " ".join(" ".join(data for inside, data in self.texts if tag in inside).split())

    def links(self, address: str) -> set[str]:
        """Where it leads, as seen from its own address."""
        found = [each["href"] for each in self.all("a", "link")] + [each["src"] for each in self.all("img")]
        return {urldefrag(urljoin(address, each)).url for each in found}


@dataclass(frozen=True, slots=True)
class Site:
    """Where pages are."""

    at: Address

    def get(self, path: str, method: str = "GET", **headers: str) -> Page:
        """One page."""
        connection = http.client.HTTPConnection(self.at.host, self.at.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Page(answer.status, named, answer.read())
        finally:
            connection.close()

    def crawl(self, start: str = "/", most: int = 12) -> dict[str, Page]:
        """Every page that can be reached from one, by its address; of a kind of record so many at most."""
        found: dict[str, Page] = {}
        waiting = [start]
        seen: Counter[str] = Counter()
        while waiting:
            address = waiting.pop()
            kind = address.rpartition("/")[0]
            if address in found or (kind.startswith("/records/") and seen[kind] == most):
                continue
            found[address] = self.get(address)
            seen[kind] += 1
            waiting += sorted(found[address].links(address))
        return found


@contextmanager
def a_site(app: ASGIApp) -> Iterator[Site]:
    """The pages on a free port of this machine."""
    with listen("127.0.0.1", 0) as listening:
        server = server_of(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Site(address_of(listening))
        finally:
            server.should_exit = True
            thread.join(TIMEOUT_S)
