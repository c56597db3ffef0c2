"""`ensemble-instruct push`: what the hub gets, who may see it, and what is refused, by us or by the hub."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import huggingface_hub
import pytest

from services.local.postgres import Postgres
from shared.dataset.choosing import Request
from shared.dataset.export import export
from shared.dataset.export_record import ExportFormat, ExportOptions, ExportRecord
from shared.store.exports import ExportedRun
from shared.store.keys import judgement_key
from shared.store.session import make_engine, make_sessions
from tests.integration.admin.command_line import CommandLine, row_counts
from tests.integration.admin.conftest import Finished, clone
from tests.integration.admin.hub_server import READER, WRITER, HubServer, Repository

REPOSITORY = "someone/data"

# huggingface-hub 2.4 sends large files in a way that httpx2 would like to be rid of.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that stores large files as git-lfs does; the token may write to it."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", WRITER)
        yield server


@dataclass(frozen=True, slots=True)
class Written:
    """A database with an export, and the folder that it was written to."""

    database_url: str
    record: ExportRecord
    folder: Path


@pytest.fixture(scope="module")
def written(postgres: Postgres, finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """An export in two formats, one of them large to the hub."""
    url = clone(postgres, finished.database_url.rpartition("/")[2])
    options = ExportOptions(formats=(ExportFormat.JSONL, ExportFormat.HF), card=True, provenance=True)
    run = ExportedRun(UUID(finished.id), finished.name, judgement_key(UUID(finished.id)), 0)
    folder = tmp_path_factory.mktemp("written") / "data"
    engine = make_engine(url)
    with make_sessions(engine)() as session:
        record = export(session, Request((run,), options), folder).record
    engine.dispose()  # or the database can't be copied
    return Written(url, record, folder)


@pytest.fixture
def command(bare_command: CommandLine, written: Written, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line with the database of the export."""
    monkeypatch.setenv("DATABASE_URL", written.database_url)
    return bare_command


@pytest.fixture
def folder(hub: HubServer, written: Written, tmp_path: Path) -> Path:
    """A copy of the export's folder."""
    return Path(shutil.copytree(written.folder, tmp_path / "data"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def held(repository: Repository) -> dict[str, bytes]:
    return {path: content for path, content in repository.files.items() if path != ".gitattributes"}


def test_a_folder_is_sent_as_it_is_to_a_private_repository(
    hub: HubServer, folder: Path, command: CommandLine, written: Written
) -> None:
    outcome = command("push", folder, REPOSITORY)
    assert (outcome.code, outcome.out) == (0, f"{hub.url}/datasets/{REPOSITORY}\n")
    assert "someone/data, private, now holds export" in outcome.err
    repository = hub.repositories[REPOSITORY]
    assert repository.private
    assert held(repository) == contents(folder)
    assert [commit["summary"] for commit in repository.commits] == [f"Export {written.record.id}"]
    assert {"provenance.parquet", "data/train-00000-of-00001.parquet"} == repository.large


def test_an_export_is_made_again_for_it_and_anybody_may_read_it_if_so_asked(
    hub: HubServer, folder: Path, command: CommandLine, written: Written
) -> None:
    id = str(written.record.id)
    told = json.loads(command("push", id[:8], REPOSITORY, "--public", "--json").out)
    assert (told["export"], told["private"], told["changed"], told["removed"]) == (id, False, True, [])
    assert not hub.repositories[REPOSITORY].private
    assert held(hub.repositories[REPOSITORY]) == contents(folder)


def test_the_token_goes_to_the_hub_alone(hub: HubServer, folder: Path, command: CommandLine) -> None:
    outcome = command("push", folder, REPOSITORY)
    assert WRITER not in outcome.out + outcome.err
    asked = [seen for seen in hub.seen if seen.path.startswith(("/api/repos", "/api/datasets", "/datasets"))]
    assert {seen.authorization for seen in asked} == {f"Bearer {WRITER}"}
    assert {seen.authorization for seen in hub.seen if seen.path.startswith("/lfs/")} == {None}
    assert all(WRITER.encode() not in seen.body for seen in hub.seen)


def test_the_same_again_makes_no_commit(hub: HubServer, folder: Path, command: CommandLine) -> None:
    command("push", folder, REPOSITORY)
    assert "already held export" in command("push", folder, REPOSITORY).err
    assert len(hub.repositories[REPOSITORY].commits) == 1


def test_another_export_takes_the_place_of_the_earlier_and_leaves_the_rest_alone(
    hub: HubServer, folder: Path, command: CommandLine, written: Written, tmp_path: Path
) -> None:
    command("push", folder, REPOSITORY)
    hub.repositories[REPOSITORY].files["notes.txt"] = b"mine"
    command("export", written.record.runs[0].run, "--format", "messages", "--out", "other")
    outcome = command("push", "other", REPOSITORY)
    assert "removed there, of earlier exports: data/train-00000-of-00001.parquet, examples.jsonl" in outcome.err
    assert held(hub.repositories[REPOSITORY]) == {**contents(tmp_path / "other"), "notes.txt": b"mine"}


def test_what_is_public_gets_nothing_that_was_not_meant_to_be(
    hub: HubServer, folder: Path, command: CommandLine
) -> None:
    hub.repositories[REPOSITORY] = Repository(private=False, files={"notes.txt": b"mine"})
    told = command.refused(2, "push", folder, REPOSITORY)
    assert "someone/data is public, so that anybody could read what is pushed to it; say --public" in told
    assert hub.repositories[REPOSITORY].files == {"notes.txt": b"mine"}
    assert command("push", folder, REPOSITORY, "--public").code == 0
    assert held(hub.repositories[REPOSITORY]).keys() == {*contents(folder), "notes.txt"}


def test_what_is_private_stays_so(hub: HubServer, folder: Path, command: CommandLine) -> None:
    hub.repositories[REPOSITORY] = Repository(private=True)
    outcome = command("push", folder, REPOSITORY, "--public")
    assert "someone/data was there and is private; make it public in its settings" in outcome.err
    assert hub.repositories[REPOSITORY].private


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / "examples.jsonl").write_text("{}\n"), "examples.jsonl is another file"),
        (lambda folder: (folder / "README.md").unlink(), "README.md is missing"),
        (lambda folder: (folder / "data" / "more.txt").touch(), "data/more.txt is not part of it"),
    ],
)
def test_a_folder_that_was_changed_is_not_sent(
    hub: HubServer, folder: Path, command: CommandLine, written: Written, change: object, told: str
) -> None:
    assert callable(change)
    change(folder)
    message = command.refused(2, "push", folder, REPOSITORY)
    assert f"data is not as export {written.record.id} was written: {told}. Only what is recorded" in message
    assert hub.repositories == {}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("abcdef12", REPOSITORY), "There is no export 'abcdef12'"),
        (("empty", REPOSITORY), "Nothing in empty is a file of an export that this database knows"),
        (("abcdef12", "a/b/c"), "'a/b/c' is no name of a repository"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_hub_hears_of_it(
    hub: HubServer, command: CommandLine, written: Written, arguments: tuple[str, ...], told: str
) -> None:
    Path("empty").mkdir()
    before = row_counts(written.database_url)
    assert told in command.refused(2, "push", *arguments)
    assert hub.seen == []
    assert row_counts(written.database_url) == before


def test_without_a_token_nothing_is_asked(
    hub: HubServer, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert "HF_TOKEN is not set: set it to a token" in command.refused(2, "push", "abcdef12", REPOSITORY)
    assert "HF_TOKEN is not set" in command.refused(2, "push", "abcdef12", REPOSITORY, HF_TOKEN="")
    assert hub.seen == []


@pytest.mark.parametrize(
    ("token", "repository", "told"),
    [
        ("hf_unknown", REPOSITORY, "does not accept the token in HF_TOKEN: Invalid credentials: Bearer …"),
        (READER, REPOSITORY, "The token in HF_TOKEN may not write to someone/data at"),
        (WRITER, "others/data", "The token in HF_TOKEN may not write to others/data at"),
    ],
)
def test_a_token_without_the_right_is_told_and_not_shown(
    hub: HubServer, folder: Path, command: CommandLine, token: str, repository: str, told: str
) -> None:
    message = command.refused(2, "push", folder, repository, HF_TOKEN=token)
    assert told in message
    assert token not in message
    assert hub.repositories == {}


@pytest.mark.parametrize(
    ("failing", "status", "told"),
    [
        ("POST /api/repos/create", 500, "failed with 500: it fails with 500, for Bearer …. Try again later"),
        ("POST /api/repos/create", 429, "has had too many requests of this token"),
        ("POST /api/repos/create", 402, "refuses what was to be pushed to someone/data"),
        ("POST /api/repos/create", 404, "The hub at {hub} knows nothing of someone/data, or of who it would belong to"),
        ("POST /api/repos/create", 0, "The hub at {hub} can't be reached"),
        ("GET /api/datasets/someone/data", 404, "knows nothing of someone/data"),
        ("PUT /lfs/.*", 0, "went away while it was spoken to"),
        ("POST .*/commit/main", 0, "The same command again sends what is missing"),
        ("POST .*/commit/main", 401, "does not accept the token in HF_TOKEN"),
        ("POST .*/commit/main", 503, "failed with 503"),
        ("POST .*/commit/main", 409, "someone/data was changed by somebody else in this moment"),
        ("PUT /lfs/.*", 403, "The token in HF_TOKEN may not write to someone/data"),
    ],
)
def test_a_hub_that_fails_is_told(
    hub: HubServer, folder: Path, command: CommandLine, failing: str, status: int, told: str
) -> None:
    hub.failing = {failing: status}
    outcome = command("push", folder, REPOSITORY)
    assert outcome.code == (2 if status in (401, 403, 404) else 1)
    assert told.format(hub=hub.url) in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err
    assert WRITER not in outcome.err
    assert all(held(repository) == {} for repository in hub.repositories.values())
    hub.failing = {}
    assert command("push", folder, REPOSITORY).code == 0
    assert held(hub.repositories[REPOSITORY]) == contents(folder)


def test_whoever_commits_in_the_same_moment_is_not_overwritten(
    hub: HubServer, folder: Path, command: CommandLine
) -> None:
    def commit() -> None:
        hub.repositories[REPOSITORY].commits.append({"summary": "mine"})

    hub.before_commit = commit
    assert "was changed by somebody else" in command.refused(1, "push", folder, REPOSITORY)
    assert held(hub.repositories[REPOSITORY]) == {}


def test_a_hub_that_keeps_files_out_is_found_out(hub: HubServer, folder: Path, command: CommandLine) -> None:
    hub.ignored = {"examples.jsonl"}
    told = command.refused(1, "push", folder, REPOSITORY)
    assert "someone/data does not hold what was pushed to it: examples.jsonl. Perhaps a .gitignore" in told


def test_a_folder_that_changes_meanwhile_is_found_out(hub: HubServer, folder: Path, command: CommandLine) -> None:
    def change() -> None:
        examples = folder / "examples.jsonl"
        examples.write_text(" " * examples.stat().st_size)

    hub.before_files = change
    told = command.refused(1, "push", folder, REPOSITORY)
    assert "someone/data does not hold what was pushed to it: examples.jsonl" in told
    assert "or somebody changed the folder meanwhile" in told


def test_a_hub_that_is_not_there(folder: Path, command: CommandLine) -> None:
    told = command.refused(1, "push", folder, REPOSITORY, HF_ENDPOINT="http://127.0.0.1:1")
    assert "The hub at http://127.0.0.1:1 can't be reached" in told
    assert "Is this machine online" in told


def test_what_answers_there_is_no_hub(hub: HubServer, folder: Path, command: CommandLine) -> None:
    hub.lost = True
    assert "is no hub, or one that speaks otherwise" in command.refused(1, "push", folder, REPOSITORY)


def test_who_is_offline_on_purpose_is_reminded(
    hub: HubServer, folder: Path, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids to speak to the hub" in command.refused(2, "push", folder, REPOSITORY)
    assert hub.seen == []


def test_a_hub_without_xet_storage_is_told_apart(
    hub: HubServer, folder: Path, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", False)
    outcome = command("push", folder, REPOSITORY)
    assert outcome.code == 1
    assert "The large files could not be sent" in outcome.err
    assert "set HF_HUB_DISABLE_XET=1" in " ".join(outcome.err.split())
    assert WRITER not in outcome.err
    assert held(hub.repositories[REPOSITORY]) == {}


def test_what_was_retracted_since_is_not_sent(
    hub: HubServer,
    folder: Path,
    command: CommandLine,
    written: Written,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", clone(postgres, written.database_url.rpartition("/")[2]))
    gone = json.loads((folder / "examples.jsonl").read_text().splitlines()[0])["id"]
    assert command("retract", "--example", gone, "--reason", "wrong").code == 0
    told = command.refused(2, "push", folder, REPOSITORY)
    assert "1 of the 5 examples in" in told
    assert "were retracted since it was written" in told
    assert hub.repositories == {}
    outcome = command("push", written.record.id, REPOSITORY)
    assert "1 of its 5 examples were retracted since, so this is another export" in outcome.err
    assert gone.encode() not in b"".join(held(hub.repositories[REPOSITORY]).values())
