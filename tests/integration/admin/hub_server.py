"""A hub on the loopback interface: as much of its HTTP interface as a push of a dataset speaks to.

It keeps what it is sent, says no as the real one does, and fails where a test wants it to.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from shared.dataset.licences import HUB_LICENCES

WRITER, READER = "hf_write-everything", "hf_read-only"
EMPTY = hashlib.sha1(b"nothing", usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class Repository:
    """A dataset repository: what its newest commit holds, and the commits' headers."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    commits: list[dict[str, Any]] = field(default_factory=list)

    @property
    def sha(self) -> str:
        """The newest commit."""
        return hashlib.sha1(repr(self.commits).encode(), usedforsecurity=False).hexdigest() if self.commits else EMPTY


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    authorization: str | None
    body: bytes


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, said: str, **more: Any) -> None:
        super().__init__(said)
        self.status, self.said, self.more = status, said, more


class HubServer:
    """A hub with one user, `someone`, whose token may write, and another token that may only read.

    `failing` holds statuses by a pattern of METHOD PATH, 0 to hang up without an answer; `ignored` are files that a
    .gitignore there keeps out; `before_files` is called before any is sent, `before_commit` before a commit is looked
    at. If it is `lost`, it answers like a page on the web.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.stored: dict[str, bytes] = {}
        self.seen: list[Seen] = []
        self.failing: dict[str, int] = {}
        self.ignored: set[str] = set()
        self.before_files: Callable[[], None] = lambda: None
        self.before_commit: Callable[[], None] = lambda: None
        self.lost = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """Its address, for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, seen: Seen, query: dict[str, list[str]]) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        self.seen.append(seen)
        for pattern, status in self.failing.items():
            if re.fullmatch(pattern, f"{seen.method} {seen.path}"):
                return status, {"error": f"it fails with {status}, for {seen.authorization}"}
        try:
            return self._answer(seen)
        except Refusal as refusal:
            return refusal.status, {"error": refusal.said, **refusal.more}

    def _answer(self, seen: Seen) -> tuple[int, Any]:
        if seen.path.startswith("/lfs/"):
            oid = seen.path.rpartition("/")[2]
            assert hashlib.sha256(seen.body).hexdigest() == oid
            self.stored[oid] = seen.body
            return 200, {}
        if seen.path == "/api/validate-yaml":
            return self._validate(json.loads(seen.body))
        self._authenticate(seen)
        if seen.path == "/api/repos/create":
            return self._create(seen, json.loads(seen.body))
        found = re.fullmatch(r"/(?:api/)?datasets/([^/]+/[^/.]+)(?:\.git)?(/.*)?", seen.path)
        if not found or found[1] not in self.repositories:
            raise Refusal(404, "Repository not found")
        return self._of_repository(seen, found[1], self.repositories[found[1]], found[2] or "")

    def _authenticate(self, seen: Seen) -> None:
        if seen.authorization not in (f"Bearer {WRITER}", f"Bearer {READER}"):
            raise Refusal(401, f"Invalid credentials: {seen.authorization}")

    def _may_write(self, seen: Seen, name: str) -> None:
        if seen.authorization != f"Bearer {WRITER}" or not name.startswith("someone/"):
            raise Refusal(403, f"You don't have the rights to create a dataset under {name.partition('/')[0]}")

    def _create(self, seen: Seen, asked: dict[str, Any]) -> tuple[int, Any]:
        assert asked["type"] == "dataset"
        self.before_files()
        name = f"{asked['organization'] or 'someone'}/{asked['name']}"
        self._may_write(seen, name)
        url = {"url": f"{self.url}/datasets/{name}"}
        if name in self.repositories:
            raise Refusal(409, "You already created this dataset repo", **url)
        self.repositories[name] = Repository(asked["visibility"] == "private", {".gitattributes": b"*.parquet lfs\n"})
        return 200, url

    def _validate(self, asked: dict[str, Any]) -> tuple[int, Any]:
        metadata = yaml.safe_load(asked["content"].split("---\n")[1])
        errors = []
        if metadata["license"] not in HUB_LICENCES | {"other", "unknown"}:
            errors.append({"message": '"license" must be one of those that there are'})
        if metadata["license"] == "other" and not re.fullmatch(r"[a-z0-9.-]+", metadata["license_name"]):
            errors.append({"message": '"license_name" must be lower-case letters, digits, . and -'})
        return (400 if errors else 200), {"errors": errors, "warnings": []}

    def _of_repository(self, seen: Seen, name: str, repository: Repository, path: str) -> tuple[int, Any]:
        match path.split("/")[1:]:
            case [] | ["revision", _]:
                return 200, {"id": name, "sha": repository.sha, "private": repository.private}
            case ["tree", _]:
                return 200, [_told(repository, each) for each in sorted(repository.files)]
            case ["paths-info", _]:
                paths = parse_qs(seen.body.decode())["paths"]
                return 200, [_told(repository, each) for each in paths if each in repository.files]
            case ["preupload", _]:
                self._may_write(seen, name)
                return 200, {"files": [self._mode(repository, each) for each in json.loads(seen.body)["files"]]}
            case ["info", "lfs", "objects", "batch"]:
                self._may_write(seen, name)
                return 200, {"transfer": "basic", "objects": [self._place(o) for o in json.loads(seen.body)["objects"]]}
            case ["commit", _]:
                self._may_write(seen, name)
                self.before_commit()
                return self._commit(name, repository, [json.loads(line) for line in seen.body.splitlines()])
        raise Refusal(404, f"no such path: {path}")

    def _mode(self, repository: Repository, asked: dict[str, Any]) -> dict[str, Any]:
        path = asked["path"]
        large = path.endswith(".parquet")
        known = {"oid": _oid(repository.files[path], large=large)} if path in repository.files else {}
        ignored = path in self.ignored
        return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": ignored, **known}

    def _place(self, asked: dict[str, Any]) -> dict[str, Any]:
        known = asked["oid"] in self.stored
        upload = {} if known else {"actions": {"upload": {"href": f"{self.url}/lfs/{asked['oid']}"}}}
        return {"oid": asked["oid"], "size": asked["size"], **upload}

    def _commit(self, name: str, repository: Repository, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        header, *operations = lines
        if header["value"].get("parentCommit", repository.sha) != repository.sha:
            raise Refusal(412, "A commit has happened since")
        for operation in operations:
            value = operation["value"]
            match operation["key"]:
                case "file":
                    repository.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    repository.files[value["path"]] = self.stored[value["oid"]]
                    repository.large.add(value["path"])
                case "deletedFile":
                    del repository.files[value["path"]]
        repository.commits.append(header["value"])
        return 200, {"commitUrl": f"{self.url}/datasets/{name}/commit/{repository.sha}", "commitOid": repository.sha}


def _told(repository: Repository, path: str) -> dict[str, Any]:
    content = repository.files[path]
    told = {"type": "file", "path": path, "size": len(content), "oid": _oid(content, large=False)}
    lfs = {"oid": _oid(content, large=True), "size": len(content), "pointerSize": 130}
    return {**told, "lfs": lfs} if path in repository.large else told


def _oid(content: bytes, *, large: bool) -> str:
    if large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _reply(self) -> None:
            address = urlsplit(self.path)
            body = self._body()
            seen = Seen(self.command, unquote(address.path), self.headers["Authorization"], body)
            status, told = hub.answer(seen, parse_qs(address.query))
            if not status:
                self.close_connection = True
                return
            content = b"<html>Welcome!</html>" if hub.lost else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _reply

        def _body(self) -> bytes:
            if self.headers["Transfer-Encoding"] == "chunked":
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers["Content-Length"] or 0))

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    return Handler
