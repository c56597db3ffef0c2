"""What real worker processes tell of themselves is what Postgres holds, in sum."""

import json
import os
import signal
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from services.local.postgres import Postgres
from services.local.valkey import Valkey
from shared.lm.fake import FakeFault, FakeServer
from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.lm.fake_responder import respond as plausible
from shared.method.tasks import TaskType
from shared.store.session import make_engine
from shared.telemetry.metrics import PREFIX
from tests.deploy.prometheus.alerts import ALERTS, series
from tests.deploy.prometheus.expressions import OF_PROMETHEUS
from tests.deploy.prometheus.expressions import asked as asked_for
from tests.deploy.prometheus.promql import Series, evaluate
from tests.deploy.prometheus.test_dashboards import DASHBOARDS
from tests.deploy.prometheus.test_dashboards import expressions as panel_expressions
from tests.e2e.collector import Collector, a_collector, told
from tests.e2e.log_fields import SCHEMA, is_about_work
from tests.e2e.looking import get, lines, scraped, scraped_with, wait_until_they_listen
from tests.e2e.stack import DEADLINE_S, Stack, a_stack
from tests.e2e.test_worker_processes import QUEUES, job
from tests.integration.workers.told import Told, by, total
from workers.tracing import trace_of

TARGETS = {"input_output": 6, "output_only": 5}
LONG_S = 6.0  # a call that is still under way when a slow machine has asked twice how its worker is


class Quoting:
    """An LM some of whose first answers are refusals that quote what they were asked.

    Until it `is_free` it has no room for anybody, so that no run ends before somebody has looked at it.
    """

    def __init__(self) -> None:
        self.is_free = False
        self._asked: set[str] = set()

    def __call__(self, request: FakeRequest) -> FakeAnswer | FakeFault:
        if not self.is_free:
            return FakeFault(429, json.dumps({"error": request.prompt}).encode())
        number = len(self._asked)
        if request.prompt in self._asked or number % 5 > 1:
            self._asked.add(request.prompt)
            return plausible(request)
        self._asked.add(request.prompt)
        return FakeFault((500, 429)[number % 5], json.dumps({"error": request.prompt}).encode())


@dataclass(frozen=True)
class Watched:
    """A run that has ended, with what its two workers told `during` it and after."""

    stack: Stack
    run_id: str
    during: Told
    scrapes: list[Told]
    collector: Collector

    def sums(self, name: str, *labels: str, **wanted: str) -> dict[tuple[str, ...], float]:
        """A metric of workers, added up."""
        sums: dict[tuple[str, ...], float] = {}
        for samples in self.scrapes:
            for key, value in by(samples, name, *labels, **wanted).items():
                sums[key] = sums.get(key, 0) + value
        return sums

    def counts(self, statement: str) -> dict[tuple[Any, ...], Any]:
        """The rows of a query: the last column by the others."""
        return {row[:-1]: row[-1] for row in self.stack.rows(statement)}


@pytest.fixture(scope="module")
def watched(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Two workers, both of which reconcile, make a dataset with an LM that fails now and then, and end."""
    folder = tmp_path_factory.mktemp("watched")
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE watched TEMPLATE migrated")
    engine = make_engine(postgres.url_of("watched"))
    with (
        Valkey(folder / "valkey") as broker,
        FakeServer(writer := Quoting()) as lm,
        a_collector() as collector,
        a_stack(engine, postgres.url_of("watched"), broker.url, folder, **of_telemetry(folder, collector)) as stack,
    ):
        workers = [
            stack.start("instructions", "outputs.base", "control"),
            stack.start("instances", "outputs.chat", "consensus", "control"),
        ]
        wait_until_they_listen(stack)
        run_id = stack.enqueue(job(lm, TARGETS, budget={"generations": 100_000}))
        during = scraped_with(stack, workers[0], "streams", "run_model_failing_seconds")
        writer.is_free = True
        stack.wait_for_the_end(run_id)
        stack.wait("nothing under way", lambda: stack.rows("SELECT 1 FROM work_items WHERE state = 'leased'") == [])
        stack.wait("news of the end", lambda: all(total(scraped(w), "run_state", state="completed") for w in workers))
        scrapes = [scraped(worker) for worker in workers]
        assert [get(worker, path)[0] for worker in workers for path in ("/healthz", "/readyz")] == [200] * 4
        assert [worker.stop() for worker in workers] == [0, 0]
        yield Watched(stack, run_id, during, scrapes, collector)
    engine.dispose()


def of_telemetry(folder: Path, collector: Collector) -> dict[str, str]:
    """Everything is told; and a setting for programs of many processes does no harm to one."""
    (folder / "figures").mkdir()
    return {
        "HEALTH_ADDRESS": "127.0.0.1:0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "figures"),
    }


def test_counters_are_kept_in_memory(watched: Watched) -> None:
    assert list((watched.stack.folder / "figures").iterdir()) == []


def test_the_workers_calls_and_tokens_are_postgress_own(watched: Watched) -> None:
    kept = watched.counts(
        "SELECT m.name, g.stage, coalesce(g.fault, 'answered'), count(*) FROM generations g"
        " JOIN models m ON m.id = g.model_id GROUP BY 1, 2, 3"
    )
    calls = {key: count for key, count in watched.sums("lm_calls_total", "model", "stage", "outcome").items() if count}
    assert {key for key in kept if key[2] == "broken_answer"}
    assert {key: count for key, count in calls.items() if key[2] != "overloaded"} == kept
    turned_away = sum(count for key, count in calls.items() if key[2] == "overloaded")
    assert turned_away == watched.stack.rows("SELECT sum(overloads) FROM work_items")[0] > 0
    for direction, column in (("read", "prompt_tokens"), ("written", "completion_tokens")):
        tokens = watched.counts(
            f"SELECT m.name, g.stage, sum({column}) FROM generations g JOIN models m ON m.id = g.model_id"  # noqa: S608 - our words
            " WHERE g.fault IS NULL GROUP BY 1, 2"
        )
        assert watched.sums("lm_tokens_total", "model", "stage", direction=direction) == tokens


def test_both_workers_tell_the_same_of_the_run(watched: Watched) -> None:
    one, other = ({key: value for key, value in each.items() if key[0].startswith("run_")} for each in watched.scrapes)
    assert one == other
    assert by(one, "run_state", "state")["completed",] == 1
    assert total(one, "run_spent", resource="generations") == watched.stack.rows("SELECT count(*) FROM generations")[0]
    wanted = by(one, "run_records", "task_type", kind="example", state="wanted")
    assert wanted == {(kind,): count for kind, count in TARGETS.items()}


def test_the_gate_and_transactions_are_timed_by_whoever_did_them(watched: Watched) -> None:
    sizes = watched.sums("batch_size_sum", "operation")
    assert sizes["judge",] == watched.stack.rows("SELECT count(*) FROM verdicts")[0]
    assert sizes["gate",] == watched.stack.rows("SELECT count(*) FROM work_items WHERE gated")[0]
    assert sizes["save",] == sum(watched.sums("lm_calls_total", "outcome").values())
    assert total(watched.scrapes[0], "transaction_seconds_count", operation="judge") == 0


def test_what_rules_and_panels_ask_for_is_told(watched: Watched) -> None:
    expressions = [rule.expression for rule in ALERTS.values()]
    expressions += [each for dashboard in DASHBOARDS.values() for each in panel_expressions(dashboard)]
    told_series = {name: labels for samples in (*watched.scrapes, watched.during) for name, labels in samples}
    for each in (asked for expression in expressions for asked in asked_for(expression)):
        name = each.name.removeprefix(PREFIX)
        assert name in told_series
        assert each.labels - OF_PROMETHEUS <= {label for label, _ in told_series[name]}


def test_no_alert_fires_for_a_run_that_went_well(watched: Watched) -> None:
    told_series: Series = {
        pairs | {("instance", str(number))}: points
        for number, samples in enumerate(watched.scrapes)
        for pairs, points in series(samples).items()
    }
    assert len(told_series) > 300
    assert [name for name, rule in ALERTS.items() if evaluate(rule.expression, told_series, 0)] == []


def test_every_log_line_has_only_fields_that_are_documented(watched: Watched) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    told_lines = [line for worker in watched.stack.workers for line in lines(worker)]
    assert len(told_lines) > 20
    for line in told_lines:
        validator.validate(line)


def test_every_line_about_work_tells_its_run_queue_and_worker(watched: Watched) -> None:
    for worker in watched.stack.workers:
        about = [line for line in lines(worker) if is_about_work(line)]
        assert {"LM call failed"} <= {line["event"] for line in about}
        for line in about:
            assert line["run_id"] == watched.run_id
            assert {"worker", "queue"} <= line.keys()
        for line in about:
            if line["event"] == "LM call failed":
                assert {"run", "stage", "model", "work_item", "fault", "endpoint"} <= line.keys()
                found = "SELECT queue, stage, model FROM work_items WHERE id = CAST(:id AS uuid)"
                assert watched.stack.rows(found, id=line["work_item"]) == [
                    (line["queue"], line["stage"], line["model"])
                ]


def test_the_log_holds_no_prompt_no_answer_and_no_password(watched: Watched) -> None:
    written = "\n".join(worker.log.read_text() for worker in watched.stack.workers)
    texts = watched.stack.rows("SELECT prompt FROM generations UNION ALL SELECT text FROM instructions")
    assert len(texts) > 40
    for text in texts:
        assert not any(len(line) > 20 and line in written for line in text.splitlines())
    for name in ("DATABASE_URL", "REDIS_URL"):
        assert watched.stack.environment[name].split(":")[2].partition("@")[0] not in written


def test_every_examples_trace_is_whole(watched: Watched) -> None:
    traces = watched.collector.traces()
    examples = watched.stack.rows("SELECT id::text, run_id, task_type, position FROM examples")
    assert len(examples) >= sum(TARGETS.values())
    for id, run_id, task_type, position in examples:
        spans = traces[trace_of(run_id, TaskType(task_type), position)]
        steps = [(str(told(span).get("ensemble_instruct.stage", "gate")), span) for span in spans]
        final = [(stage, told(span)) for stage, span in steps if not span.status.code]
        assert sorted(stage for stage, _ in final) == ["consensus", "gate", "instance", "instruction", *2 * ["output"]]
        (verdict,) = [attributes for stage, attributes in final if stage == "consensus"]
        assert verdict["ensemble_instruct.example"] == id
        assert {attributes["ensemble_instruct.run_id"] for _, attributes in final} == {watched.run_id}
        they_join(spans)


def they_join(spans: list[Span]) -> None:
    """One root, from which all others descend, each told once and begun after what it follows from had begun."""
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    assert len([span for span in spans if not span.parent_span_id]) == 1
    for span in spans:
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        if span.parent_span_id and not span.status.code:
            assert by_id[span.parent_span_id].start_time_unix_nano <= span.start_time_unix_nano


def test_tries_in_vain_are_spans_with_their_fault(watched: Watched) -> None:
    failed = [told(span) for span in watched.collector.spans if span.status.code]
    faults = watched.stack.rows("SELECT sum(failures) FROM work_items") + watched.stack.rows(
        "SELECT sum(overloads) FROM work_items"
    )
    by_fault = [
        len([span for span in failed if span["error.type"] == fault]) for fault in ("broken_answer", "overloaded")
    ]
    assert by_fault == faults
    assert len(failed) == sum(by_fault)


def test_calls_follow_the_conventions_for_generative_ai(watched: Watched) -> None:
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    calls = [(span, told(span)) for span in watched.collector.spans if span.kind == Span.SPAN_KIND_CLIENT]
    answered = [(span, attributes) for span, attributes in calls if not span.status.code]
    kept = watched.stack.rows("SELECT count(*), sum(prompt_tokens), sum(completion_tokens) FROM generations")
    kept_answered = watched.stack.rows("SELECT count(*) FROM generations WHERE fault IS NULL")
    assert [len(answered)] == kept_answered
    for way, tokens in zip(("input", "output"), kept[0][1:], strict=True):
        told_tokens = [attributes.get(f"gen_ai.usage.{way}_tokens", 0) for _, attributes in answered]
        assert sum(int(str(count)) for count in told_tokens) == tokens
    for span, attributes in calls:
        assert {name for name in attributes if name.startswith("gen_ai.")} <= known
        assert span.name == f"{attributes['gen_ai.operation.name']} {attributes['gen_ai.request.model']}"
    assert {each["service.name"] for each in watched.collector.resources} == {"ensemble-instruct"}
    workers = watched.stack.rows("SELECT DISTINCT worker FROM generations")
    assert set(workers) <= {each["service.instance.id"] for each in watched.collector.resources}


def test_spans_hold_no_text(watched: Watched) -> None:
    spans = str([told(span) for span in watched.collector.spans])
    for text in watched.stack.rows("SELECT text FROM instructions"):
        assert text not in spans


def test_a_worker_that_stands_still_is_not_alive(stack: Stack) -> None:
    stack.environment["HEALTH_ADDRESS"] = "127.0.0.1:0"
    worker = stack.start(*QUEUES)
    wait_until_they_listen(stack)

    os.kill(worker.process.pid, signal.SIGSTOP)
    with pytest.raises((TimeoutError, urllib.error.URLError)):
        get(worker, "/healthz", timeout_s=0.5)
    os.kill(worker.process.pid, signal.SIGCONT)
    stack.wait("life", lambda: get(worker, "/healthz") == (200, "ok\n"))


def test_a_worker_that_drains_is_alive_but_not_ready(stack: Stack) -> None:
    stack.environment["HEALTH_ADDRESS"] = "127.0.0.1:0"
    worker = stack.start(*QUEUES)
    wait_until_they_listen(stack)
    with FakeServer(latency=LONG_S) as server:
        patient = job(server, {"output_only": 40})
        for model in patient["models"].values():
            model["timeout_s"] = 2 * LONG_S
        stack.enqueue(patient)
        stack.wait("the first calls", lambda: server.in_flight > 0)

        worker.process.send_signal(signal.SIGTERM)
        stack.wait("a worker that drains", lambda: get(worker, "/readyz") == (503, "the worker is shutting down\n"))
        assert get(worker, "/healthz") == (200, "ok\n")
        assert worker.process.wait(DEADLINE_S) == 0


def test_collectors_that_hang_refuse_or_are_away_do_no_harm(stack: Stack) -> None:
    targets = {"output_only": 2}
    with a_collector(status=None) as hanging, a_collector(status=503) as refusing, FakeServer() as server:
        stack.environment |= {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_BSP_MAX_QUEUE_SIZE": "8"}
        stack.environment |= {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"}
        for url, queues in (
            (hanging.url, ("instructions", "control")),
            (refusing.url, ("instances", "outputs.base")),
            ("http://127.0.0.1:1", ("outputs.chat", "consensus")),
        ):
            stack.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = url
            stack.start(*queues)
        run_id = stack.enqueue(job(server, targets))
        stack.wait_for_the_end(run_id)
        assert hanging.asked.is_set()
        assert refusing.asked.is_set()
        assert [worker.stop() for worker in stack.workers] == [0, 0, 0], stack.logs()
    assert not any("Traceback" in worker.log.read_text() for worker in stack.workers)


@pytest.mark.parametrize(
    ("setting", "options", "refusal"),
    [
        ({}, ("--pool", "processes"), "A worker works with --pool threads, the default, not with prefork"),
        ({"HEALTH_ADDRESS": "127.0.0.1:99999"}, (), "HEALTH_ADDRESS can't be used"),
        ({"HEALTH_ADDRESS": "192.0.2.1:80"}, (), "HEALTH_ADDRESS 192.0.2.1:80 can't be listened on"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, (), "traces go out by"),
    ],
    ids=["prefork", "no address", "another's address", "grpc"],
)
def test_a_worker_refuses_what_it_can_not_do(
    stack: Stack, setting: dict[str, str], options: tuple[str, ...], refusal: str
) -> None:
    stack.environment |= setting
    worker = stack.start("control", options=options)
    assert worker.process.wait(DEADLINE_S) == 1
    assert refusal in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()
