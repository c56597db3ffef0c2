"""The figures of a run are what its rows say: calls, faults, yields, and how many calls there were at once."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.local.postgres import Postgres
from services.local.valkey import Valkey
from shared.capacity.figures import Figures
from shared.capacity.from_run import figures_of
from shared.lm.errors import Fault
from shared.lm.fake import FakeServer, varying
from shared.lm.fake_faults import Faulty, Harm
from shared.lm.fake_responder import respond as plausible
from shared.method.tasks import Stage, TaskType
from shared.store import measures, sizes
from shared.store.tables.runs import Run
from tests.integration.admin.conftest import clone
from tests.integration.workers.driving import Ended, a_worker, begin, drive, small_job

RATES = {Harm.BROKEN: 0.1, Harm.OVERLOADED: 0.1, Harm.REFUSED: 0.05}


@pytest.fixture(scope="module")
def faulty(postgres: Postgres, valkey: Valkey) -> Iterator[Ended]:
    """A run whose LM takes 0.1 s an answer, and does not always give one."""
    lm = FakeServer(Faulty(plausible, RATES), latency=varying(0.1, 0.5))
    with lm as server, a_worker(clone(postgres), valkey.url) as runtime:
        job = small_job(server.url, targets={"output_only": 12})
        yield Ended(runtime, drive(runtime, begin(runtime, job)))


def read(ended: Ended) -> Figures:
    """The run's figures."""
    with ended.runtime.sessions() as session:
        return figures_of(session, session.get_one(Run, ended.run.id))


def one(session: Session, statement: str, **values: object) -> float:
    """A number."""
    return float(session.execute(text(statement), values).scalar_one())


def test_calls_and_their_faults_are_counted_by_kind(faulty: Ended) -> None:
    figures = read(faulty)
    with faulty.runtime.sessions() as session:
        for call in figures.calls:
            of_kind = "FROM lineage.generations WHERE stage = :stage AND model = :model"
            place = {"stage": call.stage, "model": call.model}
            answered = one(session, f"SELECT count(*) {of_kind} AND fault IS NULL", **place)
            made = one(session, f"SELECT count(*) {of_kind}", **place)
            assert call.calls == answered
            broken = one(session, f"SELECT count(*) {of_kind} AND fault = 'broken_answer'", **place)
            shares = {each.fault: each.share for each in call.faults}
            taken = 1 - shares.get(Fault.OVERLOADED, 0)
            assert shares.get(Fault.BROKEN_ANSWER, 0) == pytest.approx(taken * broken / made, abs=1e-4)
            latency_s = one(session, f"SELECT avg(latency_s) {of_kind} AND fault IS NULL", **place)
            assert call.latency_s.mean == pytest.approx(latency_s, abs=1e-3)
            assert 0.05 <= call.latency_s.quantiles[0] <= call.latency_s.quantiles[0.5] <= call.latency_s.quantiles[1]
        overloads = one(session, "SELECT sum(overloads) FROM work_items WHERE model IS NOT NULL")
    assert overloads > 0
    assert any(each.fault is Fault.OVERLOADED and each.share > 0 for call in figures.calls for each in call.faults)


def test_yields_leave_out_what_an_lms_fault_prevented(faulty: Ended) -> None:
    yields = read(faulty).yields[TaskType.OUTPUT_ONLY]
    assert yields.instructions
    assert yields.instances
    assert yields.verdicts
    with faulty.runtime.sessions() as session:
        gated = one(
            session,
            "SELECT count(*) FROM work_items WHERE stage = 'instruction' AND gated AND state = 'done'",
        )
        accepted = one(session, "SELECT count(*) FROM instructions WHERE state = 'accepted'")
        refused = one(session, "SELECT count(*) FROM instances WHERE reason = 'refused_input'")
        instances = one(session, "SELECT count(*) FROM instances")
        verdicts = one(session, "SELECT count(*) FROM verdicts")
    assert yields.instructions.of == gated
    assert yields.instructions.share == pytest.approx(accepted / gated, abs=1e-4)
    assert yields.instances.of == instances - refused
    assert yields.verdicts.of == verdicts
    assert not {*yields.instances.reasons} & {str(fault) for fault in Fault}


def test_servers_are_counted_with_the_calls_that_they_had_at_once(faulty: Ended) -> None:
    models = read(faulty).models
    assert {name: its.servers for name, its in models.items()} == {"base": 1, "chat": 1}
    assert models["base"].in_flight == models["chat"].in_flight  # both are behind one server
    assert 1 < (models["base"].in_flight or 0) <= 16


def test_of_a_large_run_a_sample_is_looked_at(faulty: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(faulty)
    monkeypatch.setattr(measures, "MOST_SAMPLED", 20)
    sampled = read(faulty)

    def plain(figures: Figures) -> list[tuple[Stage, int | None, float, float | None]]:
        return [(each.stage, each.calls, each.latency_s.mean, each.prompt_tokens) for each in figures.calls]

    assert plain(sampled) == plain(whole)  # totals
    assert sampled.yields == whole.yields
    assert all(its.in_flight and its.in_flight > 0 for its in sampled.models.values())


def test_rows_are_weighed_where_there_are_enough_of_them(faulty: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(faulty).bytes_per_row == {}
    monkeypatch.setattr(sizes, "MANY", 10)
    by_table = read(faulty).bytes_per_row
    assert set(by_table) == sizes.GROWING
    assert by_table["generations"] > 1000
    monkeypatch.setattr(sizes, "COUNTED_BYTES", 0)  # rows are as many as Postgres has noted
    with faulty.runtime.sessions.begin() as session:
        session.execute(text("ANALYZE"))
    assert read(faulty).bytes_per_row == pytest.approx(by_table, rel=0.6)  # late statistics count some rows twice
