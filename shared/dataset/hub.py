"""Sending files to a dataset repository of the hub, and what its refusals mean to a person.

Only here is the hub spoken to. The token goes into requests and nowhere else.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    RepoFile,
    is_offline_mode,
    set_client_factory,
)
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, but exported without a word
    disable_progress_bars,
    validate_repo_id,
)

from shared.dataset.folder_files import FolderFile
from shared.errors import UserError, WorldError
from shared.shortening import shortened

DATASET = "dataset"
PATIENCE = httpx2.Timeout(300, connect=15)  # seconds; the library itself would wait for ever
LONGEST = 300  # characters of what the hub says


class TokenMissingError(UserError):
    """HF_TOKEN is not set: set it to a token of the hub that may write datasets
    (https://huggingface.co/settings/tokens); it is read from the environment alone"""


class RepositoryNameError(UserError):
    """'{repository}' is no name of a repository: {fault}; write NAMESPACE/NAME, where the namespace is a user or an
    organisation"""


class HubOfflineError(UserError):
    """HF_HUB_OFFLINE forbids to speak to the hub; unset it to push"""


class HubUnreachableError(WorldError):
    """The hub at {endpoint} can't be reached: {reason}. Is this machine online, and HF_ENDPOINT, if it is set, right?
    Nothing was changed there"""


class HubLostError(WorldError):
    """The hub at {endpoint} went away while it was spoken to: {reason}. The same command again sends what is missing"""


class TokenRefusedError(UserError):
    """The hub at {endpoint} does not accept the token in HF_TOKEN: {reason}"""


class NoRightError(UserError):
    """The token in HF_TOKEN may not write to {repository} at {endpoint}: {reason}. It needs the right to write to this
    namespace's datasets"""


class RepositoryUnknownError(UserError):
    """The hub at {endpoint} knows nothing of {repository}, or of who it would belong to: {reason}. Is the name right,
    and may the token in HF_TOKEN see it?"""


class RepositoryPublicError(UserError):
    """{repository} is public, so that anybody could read what is pushed to it; say --public if that is meant, or name
    another repository"""


class HubConflictError(WorldError):
    """{repository} was changed by somebody else in this moment; the same command again pushes onto that"""


class HubBusyError(WorldError):
    """The hub at {endpoint} has had too many requests of this token: {reason}; try again later"""


class HubRefusedError(WorldError):
    """The hub at {endpoint} refuses what was to be pushed to {repository}: {reason}"""


class HubFailedError(WorldError):
    """The hub at {endpoint} failed with {status}: {reason}. Try again later"""


class NotAHubError(WorldError):
    """What answers at {endpoint} is no hub, or one that speaks otherwise: {reason}. Is HF_ENDPOINT right?"""


class HubStorageError(WorldError):
    """The large files could not be sent to the hub at {endpoint}: {reason}. If that hub has no Xet storage, set
    HF_HUB_DISABLE_XET=1; else the same command again sends what is missing"""


class HubIncompleteError(WorldError):
    """{repository} does not hold what was pushed to it: {paths}. Perhaps a .gitignore there keeps files out, or
    somebody changed the folder meanwhile"""


@dataclass(frozen=True, slots=True)
class Hub:
    """Where the hub is (the library's own default without `endpoint`), and the token that speaks for a person."""

    token: str
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """What is to be in a repository: files of a folder, in place of any of the paths in `earlier`."""

    folder: Path
    files: tuple[FolderFile, ...]
    earlier: Collection[str]
    message: str
    description: str


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What came of it. `removed` are paths that were there earlier; `changed` is false if all was there already."""

    repository: str
    url: str
    commit: str
    private: bool
    changed: bool
    removed: tuple[str, ...]


def check_repository(name: str) -> None:
    """Raises `RepositoryNameError`."""
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise RepositoryNameError(repository=name, fault=shortened(error, LONGEST)) from error


def upload(hub: Hub, repository: str, what: Upload, *, public: bool, quiet: bool) -> Uploaded:
    """Make the repository, private unless `public`, if it is not there, and have it hold the files, in one commit.

    What is public already is left alone unless `public`, and a private one stays private. Files that no export had are
    left as they are. Raises the errors above.
    """
    if is_offline_mode():
        raise HubOfflineError
    if quiet:
        disable_progress_bars()
    set_client_factory(lambda: httpx2.Client(follow_redirects=True, timeout=PATIENCE))
    api = HfApi(hub.endpoint, token=hub.token, library_name="ensemble-instruct")
    with _explained(api, repository, began=False):
        there = api.create_repo(repository, repo_type=DATASET, private=not public, exist_ok=True).repo_id
    with _explained(api, there, began=True):
        before = api.repo_info(there, repo_type=DATASET, timeout=PATIENCE.connect)
        if not before.private and not public:
            raise RepositoryPublicError(repository=there)
        held = set(api.list_repo_files(there, repo_type=DATASET, revision=before.sha))
        removed = tuple(sorted(held & set(what.earlier) - {file.path for file in what.files}))
        commit = api.create_commit(
            there,
            [*_additions(what), *(CommitOperationDelete(path) for path in removed)],
            commit_message=what.message,
            commit_description=what.description,
            repo_type=DATASET,
            parent_commit=before.sha,
        )
        _verify(api, there, what, commit.oid)
    url = f"{api.endpoint}/datasets/{there}"
    return Uploaded(there, url, commit.oid, bool(before.private), commit.oid != before.sha, removed)


def _additions(what: Upload) -> list[CommitOperationAdd]:
    return [CommitOperationAdd(file.path, what.folder / file.path) for file in what.files]


def _verify(api: HfApi, repository: str, what: Upload, commit: str) -> None:
    """Whether each file is there as it is here: the hub knows large ones by SHA-256, small ones as git does."""
    paths = [file.path for file in what.files]
    there = {
        each.path: each
        for each in api.get_paths_info(repository, paths, repo_type=DATASET, revision=commit)
        if isinstance(each, RepoFile)
    }
    wrong = [file.path for file in what.files if not _is(there.get(file.path), file, what.folder)]
    if wrong:
        raise HubIncompleteError(repository=repository, paths=", ".join(wrong))


def _is(there: RepoFile | None, file: FolderFile, folder: Path) -> bool:
    if there is None or there.size != file.bytes:
        return False
    if there.lfs:
        return there.lfs.sha256 == file.sha256
    content = (folder / file.path).read_bytes()
    return hashlib.sha256(content).hexdigest() == file.sha256 and there.blob_id == _blob_id(content)


def _blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextmanager
def _explained(api: HfApi, repository: str, *, began: bool) -> Iterator[None]:
    """Turns what the library raises into a message for a person, without the token."""
    try:
        yield
    except (httpx2.HTTPError, OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, OSError) and error.filename:  # a file of ours
            raise
        raise _told(error, api, repository, began=began) from None  # what caused it may quote the request


def _told(error: BaseException, api: HfApi, repository: str, *, began: bool) -> Exception:
    values = {"endpoint": api.endpoint, "repository": repository, "reason": _reason(error, api)}
    if isinstance(error, HfHubHTTPError):
        return _of_status(error.response.status_code, values)
    if isinstance(error, httpx2.HTTPError):
        return HubLostError(**values) if began else HubUnreachableError(**values)
    if isinstance(error, json.JSONDecodeError | KeyError):
        return NotAHubError(**values)
    if isinstance(error, RuntimeError) and error.__cause__:  # an upload among several
        return _told(error.__cause__, api, repository, began=began)
    if isinstance(error, OSError | RuntimeError):  # of Xet, which has errors of its own
        return HubStorageError(**values)
    return HubRefusedError(**values)


def _of_status(status: int, values: Mapping[str, str]) -> Exception:
    match status:
        case 401:
            return TokenRefusedError(**values)
        case 403:
            return NoRightError(**values)
        case 404:
            return RepositoryUnknownError(**values)
        case 409 | 412:
            return HubConflictError(**values)
        case 429:
            return HubBusyError(**values)
        case _ if status >= 500:
            return HubFailedError(**values, status=status)
        case _:
            return HubRefusedError(**values)


def _reason(error: BaseException, api: HfApi) -> str:
    said = getattr(error, "server_message", None) or str(error) or type(error).__name__
    return shortened(str(said).replace(str(api.token), "…"), LONGEST).rstrip(".")
