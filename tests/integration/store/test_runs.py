"""Runs: begun whole or not at all, found by what a person writes."""

import threading
import uuid
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from shared.method.tasks import TaskType
from shared.store.loading import load_run
from shared.store.runs import (
    RunNameAmbiguousError,
    RunNameTakenError,
    RunNotFoundError,
    begin_run,
    find_run,
    list_runs,
    running_ids,
    targets_of,
)
from shared.store.session import Sessions
from shared.store.tables.runs import Model, PromptTemplate, Run, RunSeed, RunTarget, SeedTask
from tests.integration.store.planted import JOB, SEEDS, end, new_run, plant_run


def test_a_run_begins_with_its_job_seeds_templates_and_models(sessions: Sessions) -> None:
    run_id = plant_run(sessions)
    with sessions() as session:
        context = load_run(session, run_id)
    assert context is not None
    assert context.job == JOB
    assert [each.task for each in context.seeds[TaskType.INPUT_OUTPUT]] == [SEEDS[0]]
    assert {"instruction_output_only", "output_few_shot"} <= context.templates.keys()
    assert context.model_ids.keys() == {"base"}


def test_a_run_begins_with_nothing_done(sessions: Sessions) -> None:
    run_id = plant_run(sessions)
    with sessions() as session:
        target = targets_of(session, run_id)[TaskType.OUTPUT_ONLY]
    assert (target.target, target.proposed, target.gated, target.examples, target.completed_at) == (2, 0, 0, 0, None)


def test_runs_share_seeds_and_templates(sessions: Sessions) -> None:
    plant_run(sessions, "one")
    with sessions() as session:
        counts = [session.scalar(select(func.count(each.id))) for each in (SeedTask, PromptTemplate)]
    plant_run(sessions, "two")
    with sessions() as session:
        assert [session.scalar(select(func.count(each.id))) for each in (SeedTask, PromptTemplate)] == counts
        assert session.scalar(select(func.count()).select_from(RunSeed)) == 4


def test_a_seed_with_other_text_is_another_seed(sessions: Sessions) -> None:
    plant_run(sessions, "one")
    with sessions.begin() as session:
        begin_run(session, new_run("two", seeds=[replace(SEEDS[0], instruction="Sort them.")]))
        assert session.scalar(select(func.count(SeedTask.id))) == 3


def test_a_taken_name_is_refused_and_nothing_is_half_done(sessions: Sessions) -> None:
    plant_run(sessions, "taken")
    with pytest.raises(RunNameTakenError, match="--name"), sessions.begin() as session:
        begin_run(session, new_run("taken"))
    with sessions() as session:
        counts = [session.scalar(select(func.count()).select_from(each)) for each in (Run, RunTarget, Model)]
    assert counts == [1, 2, 1]


def test_of_two_that_begin_a_run_of_one_name_at_once_one_is_refused(sessions: Sessions) -> None:
    began = threading.Barrier(2, timeout=20)
    refused: list[RunNameTakenError] = []

    def begin() -> None:
        began.wait()
        try:
            with sessions.begin() as session:
                begin_run(session, new_run("wanted"))
        except RunNameTakenError as error:
            refused.append(error)

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sessions() as session:
        assert session.scalar(select(func.count(Run.id))) == 1
    assert len(refused) == 1


def test_a_name_refused_while_it_is_written_and_given_up_can_be_taken(sessions: Sessions) -> None:
    with sessions() as session:
        begin_run(session, new_run("given-up"))
        session.rollback()
    assert plant_run(sessions, "given-up")


def test_a_run_is_found_by_its_name_its_id_or_the_beginning_of_it(sessions: Sessions) -> None:
    run_id = plant_run(sessions, "sought")
    plant_run(sessions, "another")
    with sessions() as session:
        for written in ("sought", str(run_id), str(run_id)[:13], str(run_id).upper()):
            assert find_run(session, written).id == run_id


@pytest.mark.parametrize("written", ["", "nobody", "abc", "%", "____", str(uuid.UUID(int=0))])
def test_what_is_no_runs_name_is_not_found(sessions: Sessions, written: str) -> None:
    plant_run(sessions, "sought")
    with sessions() as session, pytest.raises(RunNotFoundError):
        find_run(session, written)


def test_the_beginning_of_two_ids_is_ambiguous(sessions: Sessions) -> None:
    _plant_with_ids(sessions, "abcd0001", "abcd0002")
    with sessions() as session, pytest.raises(RunNameAmbiguousError, match="2 runs"):
        find_run(session, "abcd")


def test_a_name_goes_before_the_beginning_of_an_id(sessions: Sessions) -> None:
    _plant_with_ids(sessions, "abcd0001", "abcd0002")
    named = plant_run(sessions, "abcd")
    with sessions() as session:
        assert find_run(session, "abcd").id == named


def _plant_with_ids(sessions: Sessions, *beginnings: str) -> None:
    with sessions.begin() as session:
        for beginning in beginnings:
            id = uuid.UUID(beginning.ljust(32, "0"))
            session.add(Run(id=id, name=f"run-{beginning}", job={}, fingerprint=""))


def test_the_newest_runs_whose_names_begin_so_are_told(sessions: Sessions) -> None:
    for name in ("mine-1", "mine-2", "mine-3", "mine-4", "other-1", "minx"):
        plant_run(sessions, name)
    with sessions() as session:
        with pytest.raises(RunNotFoundError, match=r"There is no run 'mine', but there are mine-4, mine-3, mine-2\. "):
            find_run(session, "mine")
        with pytest.raises(RunNotFoundError, match=r"There is no run 'm_n'\. `ensemble-instruct runs` lists"):
            find_run(session, "m_n")


def test_runs_are_listed_the_newest_first(sessions: Sessions) -> None:
    ids = [plant_run(sessions, name) for name in ("old", "new")]
    with sessions() as session:
        assert [run.id for run in list_runs(session)] == ids[::-1]


def test_only_runs_that_have_not_ended_are_running(sessions: Sessions) -> None:
    ended, running = plant_run(sessions, "ended"), plant_run(sessions, "running")
    end(sessions, ended)
    with sessions() as session:
        assert running_ids(session) == [running]


def test_a_run_in_a_state_that_is_none_is_refused_by_the_database(sessions: Sessions) -> None:
    with pytest.raises(IntegrityError, match="ck_runs_state"), sessions.begin() as session:
        session.add(Run(id=uuid.uuid4(), name="x", job={}, fingerprint="", state="sleeping"))
