import json
import re
import signal
import threading
import time
from pathlib import Path

import psycopg
import pytest

from services.local.postgres import Postgres
from tests.integration.admin.command_line import CommandLine, row_counts, start
from tests.integration.admin.conftest import Finished


def plant_run(database_url: str, id: str, name: str) -> None:
    """Write a run's row alone."""
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO runs (id, name, job, fingerprint) VALUES (%s, %s, '{}', '')", [id, name])


def test_no_runs_yet(command: CommandLine) -> None:
    outcome = command("runs")
    assert (outcome.code, outcome.out) == (0, "")
    assert "ensemble-instruct enqueue JOB" in outcome.err
    assert command("runs", "--json").out == "[]\n"


def test_runs_lists_the_newest_first(command: CommandLine, job: Path) -> None:
    ids = [command("enqueue", job, "--no-check").out.strip() for _ in range(2)]
    lines = command("runs").out.splitlines()
    assert lines[0].split() == ["run", "id", "state", "input_output", "output_only", "begun"]
    assert lines[1].split()[:5] == ["small-2", ids[1][:8], "running", "0/3", "0/2"]
    told = json.loads(command("runs", "--json").out)
    assert [run["id"] for run in told] == ids[::-1]
    assert told[0]["targets"] == {"input_output": 3, "output_only": 2}


def test_status_fits_a_terminal_and_counts_everything(later_command: CommandLine, finished: Finished) -> None:
    outcome = later_command("status", finished.name)
    assert "\ncompleted: every target is met\n5 of 5 examples in " in outcome.out
    assert re.search(r"^consensus +output_only +━+ +\d+ +\d+ +0 *$", outcome.out, re.MULTILINE)
    assert all(len(line.rstrip()) <= 80 for line in outcome.out.splitlines() if not line.startswith("rejected"))


def test_status_tells_a_program_the_same(later_command: CommandLine, finished: Finished) -> None:
    told = json.loads(later_command("status", finished.id[:8], "--json").out)
    assert (told["run_id"], told["state"]) == (finished.id, "completed")
    assert {kind: each["examples"] >= each["target"] for kind, each in told["types"].items()} == {
        "input_output": True,
        "output_only": True,
    }
    assert all(model["completion_tokens"] > 0 for model in told["models"])


@pytest.mark.parametrize(
    ("verb", "run"),
    [
        *(("status", run) for run in ("abcd1234", "", "%", "00000000-0000-0000-0000-000000000000", "a\nb")),
        *((verb, "nobody") for verb in ("status", "watch", "cancel", "export")),
    ],
)
def test_a_run_that_is_not_there(later_command: CommandLine, finished: Finished, verb: str, run: str) -> None:
    message = later_command.refused(2, verb, run)
    assert "There is no run" in message
    assert "`ensemble-instruct runs` lists" in message


def test_the_beginning_of_two_ids(command: CommandLine, database_url: str) -> None:
    for last in "12":
        plant_run(database_url, f"abcd0000-0000-0000-0000-00000000000{last}", f"run-{last}")
    assert "'abcd' begins the ids of 2 runs; write more of it" in command.refused(2, "cancel", "abcd")
    assert command("cancel", "abcd0000-0000-0000-0000-000000000002").code == 0
    assert [run["state"] for run in json.loads(command("runs", "--json").out)] == ["cancelled", "running"]


def test_cancel_keeps_what_was_made_and_says_so(command: CommandLine, begun: str) -> None:
    outcome = command("cancel", "small-1")
    assert (outcome.code, outcome.out) == (0, "")
    assert "run small-1 is cancelled" in outcome.err
    told = json.loads(command("status", "small-1", "--json").out)
    assert (told["state"], told["types"]["output_only"]["stages"]["instruction"]["open"]) == ("cancelled", 0)


def test_a_run_is_paused_and_goes_on(command: CommandLine, begun: str) -> None:
    assert "run small-1 is paused" in command("pause", "small-1").err
    told = json.loads(command("status", "small-1", "--json").out)
    assert (told["state"], told["reason"], told["finished_at"]) == ("paused", "paused by command", None)
    assert "is paused, so there is nothing to pause" in command.refused(2, "pause", "small-1")
    assert command("resume", "small-1", "--set", "budget.generations=7").code == 0
    told = json.loads(command("status", "small-1", "--json").out)
    assert (told["state"], told["reason"], told["budget"]["generations"]) == ("running", None, 7)
    assert told["oldest_open_s"] >= 0
    shown = command("status", "small-1").out
    assert "budget: 0 of 7 generations" in shown
    assert "oldest unfinished work: 0:00:" in shown


def test_a_running_run_is_not_resumed_and_its_job_stays(command: CommandLine, begun: str) -> None:
    message = command.refused(2, "resume", "small-1", "--set", "budget.tokens=7")
    assert "Run 'small-1' is running; only a run that is paused, spent or failed can go on" in message
    assert "pause it first: ensemble-instruct pause small-1" in message
    assert json.loads(command("status", "small-1", "--json").out)["budget"]["tokens"] is None


def test_a_run_goes_on_only_with_some_budget_left(command: CommandLine, begun: str, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO run_spending SELECT id, 'w', 9, 9 FROM runs")
        connection.execute("UPDATE runs SET state = 'spent', finished_at = now()")
    message = command.refused(2, "resume", "small-1", "--set", "budget.generations=9")
    assert "The budget of run 'small-1' is spent: 9 of 9 generations" in message
    assert json.loads(command("status", "small-1", "--json").out)["state"] == "spent"
    assert command("resume", "small-1", "--set", "budget.generations=10").code == 0


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("seed=5", "What decides a run's records can't be changed"),
        ("budget.generations=0", "budget.generations (--set): Input should be greater than or equal to 1"),
        ("budget.money=5", "budget.money (--set): there is no such setting"),
        ("budget", "--set budget: it has no '='"),
    ],
)
def test_a_job_is_changed_only_where_it_may_be(command: CommandLine, begun: str, setting: str, told: str) -> None:
    command("pause", "small-1")
    assert told in command.refused(2, "resume", "small-1", "--set", setting)
    assert json.loads(command("status", "small-1", "--json").out)["state"] == "paused"


def test_dead_work_is_listed_and_put_back(command: CommandLine, begun: str, database_url: str) -> None:
    assert "run small-1 has given nothing up" in command("dead", "small-1").err
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE work_items SET state = 'failed', fault = 'timed_out', detail = 'too\nslow', timeouts = 2, "
            "gated = true WHERE task_type = 'output_only'"
        )
    told = json.loads(command("dead", "small-1", "--json").out)
    assert told
    assert {(each["fault"], each["detail"], each["timeouts"]) for each in told} == {("timed_out", "too\nslow", 2)}
    listed = command("dead", "small-1")
    assert "too slow" in listed.out
    assert "ensemble-instruct retry-dead small-1" in listed.err
    assert all(each["id"] in listed.out for each in told)
    assert "write more of it" in command.refused(2, "retry-dead", "small-1", "")
    assert "1 piece of work" in command("retry-dead", "small-1", told[0]["id"][:13]).err
    assert len(json.loads(command("dead", "small-1", "--json").out)) == len(told) - 1
    nobody = "00000000-0000-0000-0000-000000000000"
    assert f"has no dead work {nobody}" in command.refused(2, "retry-dead", "small-1", nobody)
    command("pause", "small-1")
    assert "ensemble-instruct resume small-1, since it is paused" in command("retry-dead", "small-1", told[1]["id"]).err
    command("cancel", "small-1")
    assert "is cancelled, so nothing of it is worked on" in command.refused(2, "retry-dead", "small-1")
    assert "retry-dead" not in command("dead", "small-1").err


def test_work_that_nobody_listens_for_is_told(command: CommandLine, begun: str) -> None:
    expected = "warning: no worker listens to instructions,instances,outputs.base,outputs.chat,consensus,control"
    assert expected in command("status", "small-1").err
    command("pause", "small-1")
    assert "ensemble-instruct resume small-1" in command("status", "small-1").err
    assert expected in command("resume", "small-1").err


def test_a_server_that_a_run_is_to_go_on_with_is_asked_first(command: CommandLine, begun: str) -> None:
    command("pause", "small-1")
    moved = ("--set", "models.base.endpoints=[http://127.0.0.1:9]")
    assert "models.base" in command.refused(1, "resume", "small-1", *moved)
    assert json.loads(command("status", "small-1", "--json").out)["state"] == "paused"
    assert command("resume", "small-1", *moved, "--no-check").code == 0


def test_status_names_the_servers_that_are_not_fine(command: CommandLine, begun: str, database_url: str) -> None:
    told = """
      INSERT INTO endpoint_states (run_id, model, endpoint, worker, state, call_limit, ceiling, in_flight, since,
        updated_at, answered_at, fault, detail)
      VALUES (%(run)s, 'base', 'http://away', 'a', 'open', 8, 8, 0, '2026-01-02 03:04:05', now(),
              NULL, 'unreachable', 'nobody there'),
             (%(run)s, 'base', 'http://away', 'b', 'closed', 8, 8, 0, now(), now(), now(), NULL, NULL),
             (%(run)s, 'base', 'http://away', 'c', 'closed', 8, 8, 0, '2026-01-01', now(), '2026-01-01', NULL, NULL),
             (%(run)s, 'base', 'http://busy', 'a', 'closed', 3, 8, 3, now(), now(), NULL, 'overloaded', '429'),
             (%(run)s, 'chat', 'http://fine', 'a', 'closed', 8, 8, 3, now(), now(), now(), NULL, NULL)
    """
    with psycopg.connect(database_url) as connection:
        connection.execute(told, {"run": begun})
    shown = command("status", "small-1").out
    assert re.search(
        r"^base at http://away: circuit open since 2026-01-0[123] \d\d:\d\d:05 for 1 of 2 workers, "
        r"unreachable: nobody there *$",
        shown,
        re.MULTILINE,
    )
    assert re.search(r"^base at http://busy: limit 3 of 8, overloaded: 429 *$", shown, re.MULTILINE)
    assert "http://fine" not in shown
    listed = json.loads(command("status", "small-1", "--json").out)["endpoints"]
    assert [(each["endpoint"], each["state"], each["limit"]) for each in listed] == [
        ("http://away", "open", 8),
        ("http://busy", "closed", 3),
        ("http://fine", "closed", 8),
    ]


def test_a_finished_run_is_not_cancelled(later_command: CommandLine, finished: Finished) -> None:
    before = row_counts(finished.database_url)
    message = later_command.refused(2, "cancel", finished.name)
    assert f"Run '{finished.name}' is completed already" in message
    assert row_counts(finished.database_url) == before


def test_watch_of_a_finished_run_ends_at_once(later_command: CommandLine, finished: Finished) -> None:
    outcome = later_command("watch", finished.name)
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.splitlines()[-1] == f"run {finished.name} is completed: every target is met"


def test_watch_of_a_failed_run_is_a_failure(command: CommandLine, begun: str, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE runs SET state = 'failed', reason = 'the LM is gone', finished_at = now()")
    assert command("watch", "small-1").err.endswith("error: Run small-1 failed: the LM is gone\n")
    assert command("watch", "small-1").code == 1


def test_ctrl_c_ends_watching_and_nothing_else(command: CommandLine, begun: str, database_url: str) -> None:
    process = start("watch", "small-1", environment={"DATABASE_URL": database_url})
    assert process.stderr
    assert "There is no broker" in process.stderr.readline()
    assert "small-1  running  0 of 5 examples" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("run small-1 goes on; end it with: ensemble-instruct cancel small-1\n")
    assert "Traceback" not in err
    assert json.loads(command("status", "small-1", "--json").out)["state"] == "running"


def test_a_database_that_goes_away_while_one_watches(
    command: CommandLine, begun: str, postgres: Postgres, database_url: str
) -> None:
    name = database_url.rpartition("/")[2]

    def close_the_door() -> None:
        with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
            watching = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
            while connection.execute(watching, [name]).fetchone() == (0,):
                time.sleep(0.05)
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    outage = threading.Thread(target=close_the_door)
    outage.start()
    message = command.refused(1, "watch", "small-1")
    outage.join()
    assert "Traceback" not in message
    assert re.search(r"Postgres (went away|at \S+ can't be reached): ", message)


def test_whose_examples_are_counted_is_told_once_there_is_a_further_judgement(
    changing_command: CommandLine, changeable: Finished
) -> None:
    changing_command("rejudge", changeable.name, "--rule", "none")
    changing_command("rejudge", changeable.name, "--threshold", "1")
    kept = json.loads(changing_command("status", changeable.name, "--json").out)["further"][-1]["examples"]
    status = changing_command("status", changeable.name).out
    assert f"\n5 of 5 examples of judgement 0, {kept} of judgement 2, the latest, in 0" in status
    assert "completed  5 of 5 examples of judgement 0  " in changing_command("watch", changeable.name).err
