"""A whole run by logins that have no more rights than their roles."""

import json
from pathlib import Path

from sqlalchemy import Engine, make_url

from services.local.valkey import Valkey
from shared.lm.fake import FakeServer
from shared.store.roles import Role, create_login
from tests.e2e.stack import Stack, a_stack, all_queues
from tests.e2e.test_worker_processes import job, the_run_is_whole

PASSWORD = "correct-horse-battery"  # noqa: S105 - of logins that live as long as a test


def _address(engine: Engine, database_url: str, role: Role) -> str:
    """The database's address for a login of a role; it may be there from another test."""
    create_login(engine, f"least_{role}", role, PASSWORD)
    return make_url(database_url).set(username=f"least_{role}", password=PASSWORD).render_as_string(hide_password=False)


def test_workers_and_commands_need_no_more_rights_than_theirs(
    engine: Engine, database_url: str, broker: Valkey, tmp_path: Path
) -> None:
    worker, operator = (_address(engine, database_url, role) for role in (Role.WORKER, Role.OPERATOR))
    targets = {"input_output": 4, "output_only": 3}
    with a_stack(engine, worker, broker.url, tmp_path) as stack, FakeServer() as server:
        stack.start(*all_queues(["base", "chat"]))
        person = Stack(engine, {**stack.environment, "DATABASE_URL": operator}, tmp_path)
        run_id = person.enqueue(job(server, targets))
        stack.wait_for_the_end(run_id)
        the_run_is_whole(stack, run_id, targets)
        assert "permission denied" not in stack.logs()
        exported = Path(person.command("export", run_id, "--out", str(tmp_path / "out")))
        first = json.loads(exported.read_text().splitlines()[0])
        person.command("lineage", first["id"])
        person.command("rejudge", run_id, "--rule", "majority")
        person.command("audit", run_id)
        _have_imported_answered(stack, person, server.url, tmp_path)
        assert "permission denied" not in stack.logs()


def _have_imported_answered(stack: Stack, person: Stack, url: str, folder: Path) -> None:
    path = folder / "bare.jsonl"
    path.write_text(json.dumps({"instruction": "Name a colour of the sea."}) + "\n")
    run_id = person.command("import", str(path), "--as", "bare")
    spec = {"protocol": "openai", "kind": "instruct", "endpoints": f"[{url}]"}
    described = [part for name, value in spec.items() for part in ("--set", f"models.chat.{name}={value}")]
    person.command("add-output", run_id, "--model", "chat", *described)
    stack.wait(
        "the late answer", lambda: stack.rows("SELECT 1 FROM judgements WHERE run_id = :id AND number = 1", id=run_id)
    )
    person.command("retract", "--origin", "bare.jsonl", "--reason", "a test", "--by", "me")
    person.command("audit", run_id)
