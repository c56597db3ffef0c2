"""How many workers there are: KEDA's rules against the code, and their question put to a real Postgres."""

import re
from collections.abc import Iterator
from math import ceil
from typing import Any

import psycopg
import pytest
from sqlalchemy import text, update

from services.kubernetes.limits import CALLS_PER_WORKER, JUDGES, VERDICTS_PER_WORKER
from shared.job import JobSpec, RetryPolicy
from shared.queue import names
from shared.store.tables.runs import Run, RunState
from shared.store.tables.work import WorkItem, WorkState
from tests.deploy.conftest import WRITER
from tests.deploy.rendering import Manifest, Rendered, container_of, name_of, queue_of
from tests.deploy.scaler_login import a_scaler, ask
from tests.integration.workers.driving import a_worker, begin, small_job
from workers.runtime import Runtime

QUEUE = re.compile(r"w\.queue = '([^']*)'")


def trigger_of(scaled: Manifest) -> dict[str, Any]:
    """What it goes by."""
    (trigger,) = scaled["spec"]["triggers"]
    return dict(trigger)


def question_of(scaled: Manifest) -> str:
    """The SQL that it asks."""
    return str(trigger_of(scaled)["metadata"]["query"])


def test_every_pool_but_the_reconciler_is_scaled_by_the_work_of_its_own_queue(prod: Rendered, of_job: Rendered) -> None:
    for rendered in (prod, of_job):
        targets = {each["spec"]["scaleTargetRef"]["name"]: each for each in rendered.of("ScaledObject")}
        pools = {name_of(each): queue_of(each) for each in rendered.workers if name_of(each) != "reconciler"}
        assert len(targets) == len(rendered.of("ScaledObject"))
        assert {name: set(QUEUE.findall(question_of(each))) for name, each in targets.items()} == {
            name: {queue} for name, queue in pools.items()
        }


def test_all_ask_the_same_question(of_job: Rendered) -> None:
    assert len({QUEUE.sub("", question_of(each)) for each in of_job.of("ScaledObject")}) == 1


def test_nobody_else_scales_them(rendered: Rendered) -> None:
    assert not rendered.of("HorizontalPodAutoscaler")


def test_no_pool_is_ever_empty_and_a_lost_database_shrinks_none(of_job: Rendered) -> None:
    for each in of_job.of("ScaledObject"):
        spec = each["spec"]
        assert spec["minReplicaCount"] == 1
        assert spec["fallback"]["replicas"] == spec["maxReplicaCount"]
        assert trigger_of(each)["type"] == "postgresql"  # the fallback is for averages, and this trigger's is one
        assert "metricType" not in trigger_of(each)


def test_the_address_to_ask_comes_from_a_secret(of_job: Rendered) -> None:
    for each in of_job.of("ScaledObject"):
        reference = of_job.named("TriggerAuthentication", trigger_of(each)["authenticationRef"]["name"])
        assert reference["spec"]["secretTargetRef"] == [
            {"parameter": "connection", "name": "ensemble-instruct-database", "key": "scaler-url"}
        ]


def test_a_pool_shrinks_only_after_it_was_too_large_for_as_long_as_a_call_may_be_put_off(of_job: Rendered) -> None:
    for each in of_job.of("ScaledObject"):
        behavior = each["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        longest_s = RetryPolicy.model_fields["backoff_cap_s"].default
        assert behavior["scaleDown"]["stabilizationWindowSeconds"] > longest_s
        assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0


def test_pools_grow_to_what_the_servers_take_and_no_further(of_job: Rendered, job: JobSpec) -> None:
    allowed = {
        names.INSTRUCTIONS: job.models[job.instructions.model].max_in_flight,
        names.INSTANCES: job.models[job.instances.model].max_in_flight,
        **{names.outputs(name): model.max_in_flight for name, model in job.models.items()},
    }
    for each in of_job.of("ScaledObject"):
        queue, most = QUEUE.findall(question_of(each))[0], each["spec"]["maxReplicaCount"]
        target = int(trigger_of(each)["metadata"]["targetQueryValue"])
        if queue == names.CONSENSUS:
            assert (target, most) == (VERDICTS_PER_WORKER, JUDGES)
        else:
            assert (target, most) == (CALLS_PER_WORKER, ceil(allowed[queue] / CALLS_PER_WORKER))


def test_servers_take_the_calls_that_the_job_allows(of_job: Rendered, job: JobSpec) -> None:
    args = {name_of(each): container_of(each)["args"] for each in of_job.of("StatefulSet")}
    (writer,) = args.keys() - {"model-server-answerer"}
    assert f"--max-concurrent-requests={job.models[WRITER].max_in_flight}" in args[writer]
    assert "--max-num-seqs=250" in args["model-server-answerer"]  # half of 500 each


@pytest.fixture
def runtime(database_url: str, redis_url: str) -> Iterator[Runtime]:
    """What a worker process holds."""
    with a_worker(database_url, redis_url) as worker:
        yield worker


@pytest.fixture
def scaler(database_url: str) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """A connection that may read what a ScaledObject asks for, and nothing else."""
    with a_scaler(database_url) as connection:
        yield connection


def test_a_role_that_may_read_two_tables_is_told_what_is_unfinished(
    prod: Rendered, runtime: Runtime, scaler: "psycopg.Connection[tuple[Any, ...]]"
) -> None:
    question = question_of(prod.named("ScaledObject", "instruction-generator"))
    job = small_job("http://127.0.0.1:1", targets={"output_only": 5})
    first, second = begin(runtime, job, "first"), begin(runtime, job, "second")

    with runtime.sessions.begin() as session:
        ready = session.scalar(text("SELECT count(*) FROM work_items")) or 0
    assert ask(scaler, question) == ready > 2
    with runtime.sessions.begin() as session:
        of_first = update(WorkItem).where(WorkItem.run_id == first)
        session.execute(of_first.where(WorkItem.position == 0).values(state=WorkState.LEASED))
        session.execute(of_first.where(WorkItem.position > 0).values(state=WorkState.DONE))
        put_off = text("now() + interval '1 hour'")
        session.execute(update(WorkItem).where(WorkItem.run_id == second).values(ready_at=put_off))
    assert ask(scaler, question) == 1 + ready // 2  # under way, and put off
    with runtime.sessions.begin() as session:
        session.execute(update(Run).where(Run.id == second).values(state=RunState.PAUSED))
    assert ask(scaler, question) == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        scaler.execute("SELECT count(*) FROM generations")


def test_the_question_is_answered_from_indexes(
    prod: Rendered, runtime: Runtime, scaler: "psycopg.Connection[tuple[Any, ...]]"
) -> None:
    begin(runtime, small_job("http://127.0.0.1:1"))
    with runtime.sessions.begin() as session:
        session.execute(text("ANALYZE work_items"))
        session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = session.scalars(text(f"EXPLAIN {question_of(prod.named('ScaledObject', 'consensus-judge'))}")).all()
    assert "ix_work_items_ready" in str(plan)
    assert "ix_work_items_lease" in str(plan)
