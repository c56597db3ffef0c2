"""`ensemble-instruct replay`: a stored call goes out as it went out first, and what differs is told."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from services.local.postgres import Postgres
from services.local.valkey import Valkey
from shared.lm.fake import FakeFault, FakeServer
from shared.lm.fake_http import Delivery, Received
from shared.lm.fake_protocols import FakeAnswer, FakeModel, FakeRequest
from shared.lm.fake_responder import respond as plausible
from tests.integration.admin.command_line import CommandLine, row_counts
from tests.integration.admin.conftest import clone
from tests.integration.workers.driving import a_worker, begin, drive, small_job

GONE = "http://127.0.0.1:1"
KEY = "a-key-of-the-server"
MODELS = {
    "base": {"protocol": "openai", "kind": "vanilla", "model": "fake/model", "licence": "mit"},
    "chat": {"protocol": "openai", "kind": "instruct", "api_key_env": "LM_KEY"},
    "tgi": {"protocol": "tgi", "kind": "vanilla"},
    "tgi-chat": {"protocol": "tgi", "kind": "instruct"},
}
CHAT = "/v1/chat/completions"
PATHS = {"base": "/v1/completions", "chat": CHAT, "tgi": "/generate", "tgi-chat": CHAT}
COUNTS = ("finish_reason", "prompt_tokens", "completion_tokens")
TOLD = ("endpoint", "served_model", "model_revision", "server_version", "response", *COUNTS)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run over both protocols, and all that was sent for it."""

    database_url: str
    server: FakeServer
    sent: list[Received]


@pytest.fixture(scope="module")
def recorded(postgres: Postgres, valkey: Valkey) -> Iterator[Recorded]:
    """A run whose server keeps what it received, with a sampled voice of each protocol."""
    url = clone(postgres)
    with pytest.MonkeyPatch.context() as patch, FakeServer(record=True) as server:
        patch.setenv("LM_KEY", KEY)
        models = {name: {**spec, "endpoints": [server.url]} for name, spec in MODELS.items()}
        decoding = {"temperature": 0.8, "top_k": 40, "top_p": 0.9}
        voices = [{"model": name, "decoding": decoding} for name in MODELS if name != "base"]
        with a_worker(url, valkey.url) as runtime:
            job = small_job(server.url, targets={"input_output": 2}, models=models, outputs=voices)
            drive(runtime, begin(runtime, job))
        yield Recorded(url, server, list(server.requests))


@pytest.fixture
def replayed(bare_command: CommandLine, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line with that run's database."""
    monkeypatch.setenv("DATABASE_URL", recorded.database_url)
    monkeypatch.setenv("LM_KEY", KEY)
    return bare_command


@pytest.fixture
def moved(replayed: CommandLine, recorded: Recorded, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """A copy of the run, for a test to have its servers move."""
    url = clone(postgres, recorded.database_url.rpartition("/")[2])
    monkeypatch.setenv("DATABASE_URL", url)
    return replace(recorded, database_url=url)


def one(recorded: Recorded, query: str, *values: object) -> Any:
    """The first column of the first row; what it changes is kept."""
    with psycopg.connect(recorded.database_url) as connection:
        found: Any = connection.execute(query, values or None).fetchone()
    return found[0]


def a_call(recorded: Recorded, model: str) -> str:
    """The id of the first answered call of a model."""
    query = """SELECT id FROM lineage.generations WHERE model = %s AND response IS NOT NULL ORDER BY id LIMIT 1"""
    return str(one(recorded, query, model))


def move(recorded: Recorded, model: str, *endpoints: str, answered_at: str | None = None) -> str:
    """Give a model of the run other endpoints, and say where its first call was answered; returns its id."""
    id = a_call(recorded, model)
    path = f"{{models,{model},endpoints}}"
    one(recorded, "UPDATE runs SET job = jsonb_set(job, %s, %s) RETURNING 1", path, json.dumps(endpoints))
    if answered_at:
        one(recorded, "UPDATE generations SET endpoint = %s WHERE id = %s RETURNING 1", answered_at, id)
    return id


@pytest.mark.parametrize("model", MODELS)
def test_a_call_is_sent_as_it_was_sent_first(replayed: CommandLine, recorded: Recorded, model: str) -> None:
    id = a_call(recorded, model)
    before = len(recorded.server.requests)
    told = json.loads(replayed("replay", id, "--json").out)
    (sent,) = recorded.server.requests[before:]
    assert sent.path == PATHS[model]
    assert sum((sent.path, sent.body) == (first.path, first.body) for first in recorded.sent) == 1
    assert (sent.headers.get("authorization") == f"Bearer {KEY}") is (model == "chat")
    (again,) = told["replays"]
    assert (told["equal"], again["equal"], again["rouge_l"], again["changed"]) == (1, True, 1.0, [])
    assert {name: again[name] for name in TOLD} == {name: told["then"][name] for name in TOLD}


def test_calls_under_way_at_once_keep_each_the_length_of_its_own_prompt(recorded: Recorded) -> None:
    with psycopg.connect(recorded.database_url) as connection:
        calls = connection.execute("SELECT prompt, prompt_tokens FROM generations").fetchall()
    assert [tokens for _, tokens in calls] == [prompt.count(" ") + prompt.count("\n") + 1 for prompt, _ in calls]


def test_a_chat_call_is_one_message_of_the_user(replayed: CommandLine, recorded: Recorded) -> None:
    told = json.loads(replayed("replay", a_call(recorded, "chat"), "--json").out)
    body = json.loads(recorded.server.requests[-1].body)
    assert body["messages"] == [{"role": "user", "content": told["prompt"]}]
    assert told["chat"] is True
    assert body["seed"] == told["seed"]


def test_nothing_is_written(replayed: CommandLine, recorded: Recorded) -> None:
    before = row_counts(recorded.database_url)
    assert replayed("replay", a_call(recorded, "base")[:8], "--times", 3).code == 0
    assert row_counts(recorded.database_url) == before


def test_the_same_answer_is_told_and_shown(replayed: CommandLine, recorded: Recorded) -> None:
    id = a_call(recorded, "chat")
    shown = replayed("replay", id).out
    assert f"generation {id}: output by chat in run small-1, sent 20" in shown
    assert "the answer is the same" in shown
    assert one(recorded, "SELECT response FROM generations WHERE id = %s", id) in shown


def test_another_answer_of_a_newer_server_is_shown_against_the_first(replayed: CommandLine, recorded: Recorded) -> None:
    id = a_call(recorded, "tgi")
    response = one(recorded, "SELECT response FROM generations WHERE id = %s", id).strip()
    newer = FakeModel(revision="b" * 40, version="4.0.0")
    with FakeServer(lambda _: FakeAnswer(f"{response} Or so\x1b[2J."), model=newer) as server:
        told = json.loads(replayed("replay", id, "--endpoint", server.url, "--json").out)
        shown = replayed("replay", id, "--endpoint", f"{server.url}/").out
    (again,) = told["replays"]
    assert (told["equal"], again["changed"]) == (0, ["model_revision", "server_version"])
    assert 0 < again["rouge_l"] < 1
    assert again["response"] == f"{response} Or so\x1b[2J."
    assert "the answer differs: Rouge-L 0." in shown
    assert "\n--- then\n+++ now\n" in shown
    assert f"\n- {response}\n" in shown
    assert f"\n+{response} Or so�[2J.\n" in shown
    assert "server version 3.3.6-fake 4.0.0" in [" ".join(line.split()) for line in shown.splitlines()]


def test_several_replays_are_counted_and_compared(replayed: CommandLine, recorded: Recorded) -> None:
    id = a_call(recorded, "base")
    answers = iter(["Nothing alike at all.", None, "Nothing alike at all.", None] * 2)

    def fickle(request: FakeRequest) -> FakeAnswer | FakeFault:
        other = next(answers)
        return FakeAnswer(other) if other else plausible(request)

    with FakeServer(fickle) as server:
        told = json.loads(replayed("replay", id, "--times", 4, "--endpoint", server.url, "--json").out)
        shown = replayed("replay", id, "--times", 4, "--endpoint", server.url).out
    scores = [each["rouge_l"] for each in told["replays"]]
    assert [each["equal"] for each in told["replays"]] == [False, True, False, True]
    assert (told["equal"], told["distinct"]) == (2, 2)
    assert told["rouge_l"] == {"lowest": min(scores), "mean": sum(scores) / 4}
    assert f"2 of 4 replays gave the same answer; 1 other text(s): Rouge-L {min(scores):.2f} at lowest" in shown
    assert "\n+Nothing alike at all." in shown


def test_a_server_that_breaks_off_leaves_what_it_answered(replayed: CommandLine, recorded: Recorded) -> None:
    left = iter([True, True])
    broken = FakeFault(500, b'{"error": "CUDA error"}')
    with FakeServer(lambda request: plausible(request) if next(left, None) else broken) as server:
        arguments = ("replay", a_call(recorded, "tgi"), "--times", 5, "--endpoint", server.url, "--json")
        outcome = replayed(*arguments)
    told = json.loads(outcome.out)
    assert (outcome.code, len(told["replays"])) == (1, 2)
    assert "500 CUDA error" in told["broken_off"]
    assert "gave an answer that can't be used: 500 CUDA error" in " ".join(outcome.err.split())


def test_another_of_the_jobs_servers_stands_in_for_one_that_is_gone(replayed: CommandLine, moved: Recorded) -> None:
    id = move(moved, "base", GONE, moved.server.url, answered_at=GONE)
    outcome = replayed("replay", id, "--json")
    told = json.loads(outcome.out)
    assert (told["then"]["endpoint"], told["replays"][0]["endpoint"]) == (GONE, moved.server.url)
    assert f"warning: not asked: {GONE} can't be reached" in outcome.err


def test_a_server_that_the_job_has_given_up_is_not_asked(replayed: CommandLine, moved: Recorded) -> None:
    with FakeServer(record=True) as another:
        id = move(moved, "chat", another.url)
        before = len(moved.server.requests)
        told = json.loads(replayed("replay", id, "--json").out)
        assert len(another.requests) == 1
    assert len(moved.server.requests) == before
    assert told["replays"][0]["endpoint"] == another.url


def test_no_server_is_there(replayed: CommandLine, moved: Recorded) -> None:
    told = replayed.refused(1, "replay", move(moved, "base", GONE))
    assert f"No server of model 'base' can be asked; start one, or name one with --endpoint URL: {GONE} can't" in told


@pytest.mark.parametrize("model", ["base", "chat", "tgi"])
def test_a_server_of_another_model_is_refused(replayed: CommandLine, recorded: Recorded, model: str) -> None:
    """Whether the job names the model, or takes whatever is served."""
    with FakeServer(model=FakeModel("other/model"), record=True) as other:
        told = replayed.refused(1, "replay", a_call(recorded, model), "--endpoint", other.url)
        assert other.requests == []
    assert "it serves other/model, not fake/model" in told


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (FakeFault(422, b'{"error": "too long"}'), "refused the input: 422 too long"),
        (FakeFault(429, b'{"error": "Model is overloaded"}'), "has no room: 429 Model is overloaded"),
        (FakeFault(delivery=Delivery.DROPPED), "gave an answer that can't be used"),
    ],
)
def test_a_server_that_refuses_is_quoted(
    replayed: CommandLine, recorded: Recorded, fault: FakeFault, told: str
) -> None:
    with FakeServer(lambda _: fault) as server:
        assert told in replayed.refused(1, "replay", a_call(recorded, "tgi"), "--endpoint", server.url)


def test_a_key_that_is_missing_is_named(replayed: CommandLine, recorded: Recorded) -> None:
    assert "LM_KEY, which should hold its key, is not set" in replayed.refused(
        1, "replay", a_call(recorded, "chat"), LM_KEY=""
    )


@pytest.mark.parametrize("endpoint", ["nowhere", "http://user:secret@127.0.0.1:1", "ftp://127.0.0.1"])
def test_an_address_that_is_none(replayed: CommandLine, recorded: Recorded, endpoint: str) -> None:
    told = replayed.refused(2, "replay", a_call(recorded, "base"), f"--endpoint={endpoint}")
    assert f"--endpoint {endpoint} can't be used: " in told


def test_an_example_is_no_call_but_names_those_it_came_from(replayed: CommandLine, recorded: Recorded) -> None:
    with psycopg.connect(recorded.database_url) as connection:
        query = """
            SELECT e.id, array_agg(DISTINCT x.id) FROM lineage.examples e
            CROSS JOIN LATERAL (
              SELECT generation_id AS id FROM candidates c JOIN lineage.verdicts v ON c.id = ANY (v.candidate_ids)
              WHERE v.id = e.verdict_id
              UNION SELECT generation_id FROM instructions WHERE id = e.instruction_id
            ) x GROUP BY e.id LIMIT 1
        """
        example, calls = connection.execute(query).fetchone() or ("", [])
    told = replayed.refused(2, "replay", str(example))
    assert f"{example} is the id of: example. Only a generation, an LM call, can be replayed; it came from" in told
    assert all(str(call) in told for call in calls)
    assert told.count("; it wrote ") == len(calls) >= 4


def test_a_seed_task_is_no_call_and_came_from_none(replayed: CommandLine, recorded: Recorded) -> None:
    id = str(one(recorded, "SELECT id FROM seed_tasks LIMIT 1"))
    assert f"{id} is the id of: seed task. Only a generation" in replayed.refused(2, "replay", id)


def test_an_id_that_nothing_has(replayed: CommandLine) -> None:
    assert "There is no record" in replayed.refused(2, "replay", "ffffffff-0000")


def test_a_call_that_failed_then_can_not_be_compared(replayed: CommandLine, moved: Recorded) -> None:
    id = a_call(moved, "tgi")
    failing = "UPDATE generations SET response = NULL, fault = 'timed_out', detail = 'slow' WHERE id = %s RETURNING 1"
    one(moved, failing, id)
    assert f"Generation {id} failed when it was sent (timed_out: slow)" in replayed.refused(2, "replay", id)


def test_parameters_of_another_time_are_not_guessed(replayed: CommandLine, moved: Recorded) -> None:
    id = a_call(moved, "tgi")
    one(moved, "UPDATE generations SET parameters = parameters - 'top_p' WHERE id = %s RETURNING 1", id)
    assert "with other parameters than this program sends (top_p)" in replayed.refused(1, "replay", id)
