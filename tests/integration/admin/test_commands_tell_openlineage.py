"""Commands that begin and end runs tell OpenLineage, and do their work when it is of no use."""

import json
from pathlib import Path

import pytest

from tests.integration.admin.command_line import CommandLine
from tests.integration.telemetry.lineage_server import lineage_server
from tests.integration.telemetry.openlineage_schema import check_event

ONE_TRY = {
    "OPENLINEAGE__TRANSPORT__TYPE": "http",
    "OPENLINEAGE__TRANSPORT__TIMEOUT": "0.2",
    "OPENLINEAGE__TRANSPORT__RETRY": json.dumps({"total": 0}),
}


def test_enqueue_cancel_and_resume(command: CommandLine, job: Path) -> None:
    with lineage_server() as server:
        settings = {**ONE_TRY, "OPENLINEAGE__TRANSPORT__URL": server.url}
        id = command("enqueue", job, "--no-check", **settings).out.strip()
        for verb in ("pause", "resume", "cancel"):
            assert command(verb, "small-1", **settings).code == 0
        assert command("cancel", "small-1", **settings).code == 2
        assert server.types == ["START", "START", "ABORT"]
        assert {event["run"]["runId"] for event in server.received} == {id}
        for event in server.received:
            check_event(event)


@pytest.mark.parametrize("behaviour", [{"hangs": True}, {"status": 500}])
def test_a_bad_server_is_a_line_on_stderr(command: CommandLine, job: Path, behaviour: dict[str, object]) -> None:
    with lineage_server(**behaviour) as server:
        outcome = command("enqueue", job, "--no-check", **ONE_TRY, OPENLINEAGE__TRANSPORT__URL=server.url)
    assert outcome.code == 0
    assert len(outcome.out.split()) == 1
    assert outcome.err.count("run event not sent") == 1
    assert "Traceback" not in outcome.err
