import uuid

import pytest

from shared.method.tasks import Stage, TaskType
from shared.store import gate, work
from shared.store.session import Sessions
from shared.store.tables.records import Instruction, RecordState
from tests.integration.store.planted import a_generation, plant_proposals, plant_run, take

TYPE = TaskType.OUTPUT_ONLY


@pytest.mark.parametrize("page", [1, 2, 3, 5, 100])
def test_accepted_instructions_come_in_order_whatever_a_page_holds(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(gate, "PAGE", page)
    run_id = plant_run(sessions)
    plant_proposals(sessions, run_id, 1)
    (claimed,) = take(sessions, run_id)
    assert claimed.stage == Stage.INSTRUCTION
    with sessions.begin() as session:
        generation = a_generation(session, claimed)
        session.add(generation)
        session.flush()
        for position, order in enumerate([3, None, 0, 2, None, 1, 4]):
            accepted = order is not None
            session.add(
                Instruction(
                    run_id=run_id,
                    task_type=TYPE,
                    position=position,
                    generation_id=generation.id,
                    text=f"text {order}",
                    state=RecordState.ACCEPTED if accepted else RecordState.REJECTED,
                    reason=None if accepted else "not_novel",
                    accepted_order=order,
                    id=uuid.uuid4(),
                )
            )
    with sessions() as session:
        for since in range(6):
            found = list(gate.accepted_since(session, run_id, TYPE, since))
            assert [(each.order, each.text) for each in found] == [(n, f"text {n}") for n in range(since, 5)]
        assert list(gate.accepted_since(session, run_id, TaskType.INPUT_OUTPUT, 0)) == []


def test_the_response_to_a_proposal_that_is_known_is_not_read_again(sessions: Sessions) -> None:
    run_id = plant_run(sessions)
    plant_proposals(sessions, run_id, 3)
    claimed = take(sessions, run_id, 3)
    with sessions.begin() as session:
        work.finish(session, claimed)
        session.add_all([a_generation(session, each, response=f"said {each.position}") for each in claimed])
    first, *others = claimed
    with sessions() as session:
        found = gate.proposals_in_turn(session, run_id, TYPE, 10, [first.id])
    assert [each.work_id for each in found] == [each.id for each in claimed]
    assert [each.response for each in found] == [None, *(f"said {each.position}" for each in others)]
    assert all(each.generation_id for each in found)
