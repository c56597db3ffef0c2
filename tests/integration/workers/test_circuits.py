"""A model whose servers are away is left alone, said to be so, and used again when it is back."""

import threading
from functools import partial
from itertools import count

import pytest
from sqlalchemy import func, select

from shared.lm import breaker
from shared.lm.fake import FakeFault, FakeServer
from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.lm.fake_responder import respond as plausible
from shared.lm.health import CircuitState
from shared.queue import names
from shared.store.endpoints import endpoint_views, failing_models
from shared.store.tables.endpoints import EndpointState
from shared.store.tables.runs import RunState
from shared.store.tables.work import WorkItem, WorkState
from tests.integration.lm.mortal import MortalServer
from tests.integration.workers.driving import begin, drive, rows, small_job, stream, until, work_in
from workers import streaming
from workers.runtime import Runtime

WINDOW = 8


def is_told(runtime: Runtime, state: CircuitState) -> bool:
    return state in rows(runtime, select(EndpointState.state))


def test_while_a_model_is_away_work_waits_unclaimed_and_goes_on_when_it_is_back(runtime: Runtime) -> None:
    with MortalServer() as server:
        run_id = begin(runtime, small_job(server.url, targets={"output_only": 2}))
        server.die()
        working = threading.Thread(target=stream, args=(runtime, run_id, names.INSTRUCTIONS))
        working.start()
        until(partial(is_told, runtime, CircuitState.OPEN))

        tried = rows(runtime, select(func.sum(WorkItem.overloads)))[0]
        assert tried < WINDOW + 2 * breaker.FAULTS_IN_A_ROW
        until(lambda: not work_in(runtime, run_id, WorkState.LEASED))
        with runtime.sessions() as session:
            assert failing_models(session, run_id)["base"].fault == "unreachable"

        server.live()
        working.join()
        assert drive(runtime, run_id).state == RunState.COMPLETED
        with runtime.sessions() as session:
            assert failing_models(session, run_id) == {}
            assert [each.state for each in endpoint_views(session, run_id)] == [CircuitState.CLOSED] * 2


def test_a_run_goes_on_with_the_server_that_is_left(runtime: Runtime) -> None:
    with MortalServer() as server, MortalServer() as dead:
        dead.die()
        models = {name: {"endpoints": [dead.url, server.url]} for name in ("base", "chat")}
        run_id = begin(runtime, small_job(server.url, models=models))
        assert drive(runtime, run_id).state == RunState.COMPLETED
        with runtime.sessions() as session:
            views = {(each.model, each.endpoint): each for each in endpoint_views(session, run_id)}
        assert views["base", dead.url].fault == "unreachable"
        assert views["base", server.url].answered_at is not None
        with runtime.sessions() as session:
            assert failing_models(session, run_id) == {}


def test_a_server_that_answers_nonsense_for_a_while_costs_no_work_all_its_tries(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "LONGEST_WAIT_S", 0.05)
    broken = count(1)
    failures = breaker.BROKEN_IN_A_ROW + 6

    def respond(request: FakeRequest) -> FakeAnswer | FakeFault:
        return FakeFault(status=500) if next(broken) <= failures else plausible(request)

    retry = {"backoff_s": 0.001, "failures": 3}
    with FakeServer(respond) as server:
        run_id = begin(runtime, small_job(server.url, targets={"output_only": 6}, retry=retry))
        assert drive(runtime, run_id).state == RunState.COMPLETED
    assert next(broken) > failures
    assert work_in(runtime, run_id, WorkState.FAILED) == []


def test_a_stream_whose_server_stays_away_leaves_its_thread_to_others(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "WAIT_FOR_ROOM_S", 0.5)
    run_id = begin(runtime, small_job("http://127.0.0.1:1"))
    working = threading.Thread(target=stream, args=(runtime, run_id, names.INSTRUCTIONS), daemon=True)
    working.start()
    working.join(60)
    assert not working.is_alive()
    assert work_in(runtime, run_id, WorkState.READY)
    assert work_in(runtime, run_id, WorkState.LEASED) == []
