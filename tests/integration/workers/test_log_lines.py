"""What a worker says of work that went astray: whose it was, and which."""

from sqlalchemy import text
from structlog.testing import capture_logs

from shared.lm.fake import FakeFault, FakeServer
from shared.store.work import claim
from tests.integration.workers.driving import begin, let_leases_run_out, one_round, one_round_until, rows, small_job
from workers.reconciler import reconcile
from workers.runtime import Runtime


def test_leases_that_ran_out_are_told_by_run_queue_and_vanished_worker(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url))
    with runtime.sessions.begin() as session:
        for worker, count in (("one", 3), ("other", 1)):
            claim(session, run_id, "instructions", count=count, lease_s=60, worker=worker)
        let_leases_run_out(session, run_id)
    with capture_logs() as lines:
        assert reconcile(runtime)
    told = [line for line in lines if line["event"] == "leases ran out"]
    assert [(line["run_id"], line["queue"], line["vanished"], line["count"]) for line in told] == [
        (str(run_id), "instructions", "one", 3),
        (str(run_id), "instructions", "other", 1),
    ]
    crashed = rows(runtime, text("SELECT id::text FROM work_items WHERE crashes = 1"))
    assert sorted(id for line in told for id in line["work_items"]) == sorted(crashed)


def test_what_a_server_says_is_told_at_debug_alone(runtime: Runtime, lm: FakeServer) -> None:
    lm.respond = lambda request: FakeFault(status=422, body=b'{"error": "you wrote: a poem"}')
    with capture_logs() as lines:
        one_round(runtime, begin(runtime, small_job(lm.url)))
    said = [line for line in lines if "a poem" in str(line)]
    assert {line["log_level"] for line in said} == {"debug"}
    assert {line["detail"] for line in lines if line["event"] == "LM call failed"} == {"422"}


def test_a_server_that_is_away_is_told_in_our_own_words(runtime: Runtime, lm: FakeServer) -> None:
    def details() -> set[str]:
        return {line["detail"] for line in list(lines) if line["event"] == "LM call failed"}

    with capture_logs() as lines:
        one_round_until(runtime, begin(runtime, small_job("http://127.0.0.1:1")), details)
    assert all("127.0.0.1" in detail for detail in details())
