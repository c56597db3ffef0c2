"""Records: what refers to what, counted once, and what the database itself refuses."""

import threading
import uuid

import pytest
from sqlalchemy.exc import IntegrityError

from shared.store.keys import key
from shared.store.records import candidates, count_outputs, questions
from shared.store.runs import seed_key
from shared.store.session import Sessions
from shared.store.tables.records import Candidate, RecordState
from tests.integration.store.planted import (
    SEEDS,
    a_generation,
    plant_instance,
    plant_proposals,
    plant_run,
    take,
)


def a_candidate(instance_id: uuid.UUID, run_id: uuid.UUID, number: int) -> Candidate:
    return Candidate(
        id=key("candidate", instance_id, number),
        run_id=run_id,
        instance_id=instance_id,
        number=number,
        voice=f"voice-{number}",
        output="something",
        state=RecordState.ACCEPTED,
    )


def test_the_last_of_two_voices_that_speak_at_once_completes_the_instance(sessions: Sessions) -> None:
    run_id = plant_run(sessions)
    instance_id = plant_instance(sessions, run_id, pending=2)
    both_wrote = threading.Barrier(2, timeout=20)
    complete: list[uuid.UUID] = []

    def speak(number: int) -> None:
        with sessions.begin() as session:
            session.add(a_candidate(instance_id, run_id, number))
            session.flush()
            both_wrote.wait()
            complete.extend(instance.id for instance in count_outputs(session, [instance_id]))

    threads = [threading.Thread(target=speak, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert complete == [instance_id]
    with sessions() as session:
        assert [each.number for each in candidates(session, [instance_id])[instance_id]] == [1, 2]


def test_two_voices_written_together_complete_the_instance_once(sessions: Sessions) -> None:
    instance_id = plant_instance(sessions, plant_run(sessions), pending=2)
    with sessions.begin() as session:
        assert [each.id for each in count_outputs(session, [instance_id, instance_id])] == [instance_id]


def test_an_instance_is_not_complete_while_a_voice_is_missing(sessions: Sessions) -> None:
    instance_id = plant_instance(sessions, plant_run(sessions), pending=3)
    with sessions.begin() as session:
        assert count_outputs(session, [instance_id]) == []
        assert count_outputs(session, [instance_id]) == []
        assert len(count_outputs(session, [instance_id])) == 1


def test_a_question_is_an_instances_instruction_and_input(sessions: Sessions) -> None:
    instance_id = plant_instance(sessions, plant_run(sessions), pending=1)
    with sessions() as session:
        question = questions(session, [instance_id])[instance_id]
    assert (question.instruction, question.input, question.accepted_order) == ("Write something.", "", 0)


@pytest.mark.parametrize("shown", ["seed_task_ids", "instruction_ids"])
def test_a_generation_that_shows_what_is_not_in_the_store_is_refused(sessions: Sessions, shown: str) -> None:
    run_id = plant_run(sessions)
    plant_proposals(sessions, run_id, 1)
    (claimed,) = take(sessions, run_id)
    unknown = uuid.uuid4()
    with pytest.raises(IntegrityError, match=f"a generation shows {unknown}, which"), sessions.begin() as session:
        session.add(a_generation(session, claimed, **{shown: [unknown]}))


def test_a_generation_may_show_seeds_that_are_in_the_store(sessions: Sessions) -> None:
    run_id = plant_run(sessions)
    plant_proposals(sessions, run_id, 1)
    (claimed,) = take(sessions, run_id)
    with sessions.begin() as session:
        session.add(a_generation(session, claimed, seed_task_ids=[seed_key(SEEDS[0])]))


def test_one_attempt_has_one_generation(sessions: Sessions) -> None:
    run_id = plant_run(sessions)
    plant_proposals(sessions, run_id, 1)
    (claimed,) = take(sessions, run_id)
    with pytest.raises(IntegrityError, match="uq_generations_work_item_id_attempt"), sessions.begin() as session:
        session.add_all([a_generation(session, claimed), a_generation(session, claimed, id=uuid.uuid4())])


@pytest.mark.parametrize("values", [{"fault": "timed_out"}, {"response": None}])
def test_a_generation_has_either_a_response_or_a_fault(sessions: Sessions, values: dict[str, str | None]) -> None:
    run_id = plant_run(sessions)
    plant_proposals(sessions, run_id, 1)
    (claimed,) = take(sessions, run_id)
    with pytest.raises(IntegrityError, match="response_or_fault"), sessions.begin() as session:
        session.add(a_generation(session, claimed, **values))


@pytest.mark.parametrize(("state", "reason"), [("accepted", "too_short"), ("rejected", None)])
def test_what_is_rejected_has_a_reason_and_what_is_accepted_has_none(
    sessions: Sessions, state: str, reason: str | None
) -> None:
    run_id = plant_run(sessions)
    instance_id = plant_instance(sessions, run_id, pending=1)
    wrong = a_candidate(instance_id, run_id, 1)
    wrong.state, wrong.reason = RecordState(state), reason
    with pytest.raises(IntegrityError, match="ck_candidates_reason"), sessions.begin() as session:
        session.add(wrong)
