"""Every transition of a piece of work, in random order and from two sessions: a model of it knows what must be."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from shared.queue import names
from shared.store import sweeping, work
from shared.store.dead import put_back
from shared.store.session import Sessions
from shared.store.states import RESUMABLE, end_run, pause_run, resume_run
from shared.store.tables.runs import GOING_ON, RunState
from shared.store.tables.work import WorkItem, WorkState
from shared.store.work import Claim
from tests.integration.store.planted import plant_run, proposal

WORKERS = ("a", "b")
Some = st.integers(1, 4)
Which = st.integers(0, 10_000)
Worker = st.sampled_from(WORKERS)


@dataclass
class Piece:
    """What the model knows of a piece of work."""

    state: WorkState = WorkState.READY
    token: uuid.UUID | None = None
    tries: int = 0
    crashes: int = 0


@dataclass
class Held:
    """Claims that a worker believes to hold, rightly or not."""

    claims: list[Claim] = field(default_factory=list)

    def some(self, which: int) -> Claim:
        """One of them; it is held no more."""
        return self.claims.pop(which % len(self.claims))


class Transitions(RuleBasedStateMachine):
    """A run's work in the database, and beside it what it has to look like."""

    sessions: Sessions

    def __init__(self) -> None:
        super().__init__()
        self.run_id = plant_run(self.sessions, f"run-{uuid.uuid4().hex}")
        self.state = RunState.RUNNING
        self.pieces: dict[uuid.UUID, Piece] = {}
        self.held = {worker: Held() for worker in WORKERS}
        self.plan(12)

    @rule(count=Some)
    def plan(self, count: int) -> None:
        added = [proposal(self.run_id, len(self.pieces) + number) for number in range(count)]
        for _ in range(2):  # the second time in vain
            with self.sessions.begin() as session:
                work.add_work(session, added)
        if self.state in GOING_ON:
            self.pieces |= {each.id: Piece() for each in added}

    @rule(worker=Worker, count=Some, suspect=st.booleans(), goes_on=st.booleans())
    def claim(self, worker: str, count: int, suspect: bool, goes_on: bool = True) -> None:
        if goes_on:
            self.resume()
        with self.sessions.begin() as session:
            claims = self._claim(session, worker, count, suspect)
        self._claimed(worker, claims)

    @rule(count=Some, commits=st.booleans())
    def claim_at_once(self, count: int, commits: bool) -> None:
        """Two workers claim at the same time, and the first to begin commits last, or not at all."""
        with self.sessions() as first, self.sessions.begin() as second:
            early = self._claim(first, "a", count, True)
            late = self._claim(second, "b", count, True)
            assert not {each.id for each in early} & {each.id for each in late}
            if commits:
                first.commit()
        self._claimed("b", late)
        if commits:
            self._claimed("a", early)

    @rule(worker=Worker, which=Which)
    def finish(self, worker: str, which: int) -> None:
        for claim in self._pick(worker, which):
            with self.sessions.begin() as session:
                assert work.finish(session, [claim]) == self._ended(claim, WorkState.DONE)
            with self.sessions.begin() as session:  # the same answer once more
                assert not work.finish(session, [claim])

    @rule(worker=Worker, which=Which)
    def finish_and_die(self, worker: str, which: int) -> None:
        """What is rolled back has not happened."""
        for claim in self._pick(worker, which):
            with self.sessions() as session:
                work.finish(session, [claim])
            self.held[worker].claims.append(claim)

    @rule(worker=Worker, which=Which)
    def fail(self, worker: str, which: int) -> None:
        for claim in self._pick(worker, which):
            failure = work.Failure(claim, "broken_answer", "nonsense", "failures")
            if claim.token == self.pieces[claim.id].token:
                self.pieces[claim.id].tries += 1
            with self.sessions.begin() as session:
                assert work.fail(session, [failure]) == self._ended(claim, WorkState.FAILED)

    @rule(worker=Worker, which=Which, counter=st.sampled_from(["failures", "timeouts", "overloads"]))
    def postpone(self, worker: str, which: int, counter: str) -> None:
        for claim in self._pick(worker, which):
            piece = self.pieces[claim.id]
            if claim.token == piece.token:
                piece.tries += 1
            with self.sessions.begin() as session:
                later = work.Postponement(claim, "timed_out", "slow", counter, 0.0)
                assert work.postpone(session, [later]) == self._ended(claim, self._returned)

    @rule(worker=Worker, which=Which)
    def give_back(self, worker: str, which: int) -> None:
        for claim in self._pick(worker, which):
            with self.sessions.begin() as session:
                work.give_back(session, [claim])
            self._ended(claim, self._returned)

    @rule(worker=Worker)
    def vanish(self, worker: str) -> None:
        """A worker's leases run out; it may still come back with answers for them."""
        with self.sessions.begin() as session:
            tokens = [claim.token for claim in self.held[worker].claims]
            past = text("now() - interval '1 second'")
            session.execute(update(WorkItem).where(WorkItem.lease_token.in_(tokens)).values(lease_expires_at=past))
            expected = [piece for piece in self.pieces.values() if piece.token in tokens and piece.token]
            assert len(sweeping.expire_leases(session)) == len(expected)
        for piece in expected:
            piece.state, piece.token, piece.crashes = WorkState.READY, None, piece.crashes + 1

    @rule(count=Some)
    def be_late(self, count: int) -> None:
        """A worker loses its leases, others get them, and then it answers."""
        self.claim("a", count, False)
        late = list(self.held["a"].claims)
        self.vanish("a")
        self.claim("b", 4, True)
        self.held["a"].claims = late
        for which in range(len(late)):
            (self.finish if which % 2 else self.give_back)("a", which)

    @precondition(lambda self: self.state in GOING_ON)
    @rule()
    def pause(self) -> None:
        with self.sessions.begin() as session:
            assert pause_run(session, self.run_id, "a test") is (self.state == RunState.RUNNING)
        self.state = RunState.PAUSED

    @precondition(lambda self: self.state != RunState.RUNNING)
    @rule()
    def resume(self) -> None:
        with self.sessions.begin() as session:
            assert resume_run(session, self.run_id) is (self.state in RESUMABLE)
        if self.state in RESUMABLE:
            self.state = RunState.RUNNING
            self._move(WorkState.DROPPED, WorkState.READY)

    @precondition(lambda self: self.state in GOING_ON)
    @rule(state=st.sampled_from([RunState.SPENT, RunState.FAILED]))  # of a cancelled one there is no more to tell
    def end(self, state: RunState) -> None:
        with self.sessions.begin() as session:
            assert end_run(session, self.run_id, state, "a test") is (self.state in GOING_ON)
        if self.state in GOING_ON:
            self.state = state
            self._move(WorkState.READY, WorkState.DROPPED)

    @rule()
    def sweep(self) -> None:
        with self.sessions.begin() as session:
            sweeping.drop_stragglers(session)
        if self.state not in GOING_ON:
            self._move(WorkState.READY, WorkState.DROPPED)

    @precondition(lambda self: self.state in GOING_ON)
    @rule()
    def retry_the_dead(self) -> None:
        dead = [piece for piece in self.pieces.values() if piece.state == WorkState.FAILED]
        with self.sessions.begin() as session:
            assert put_back(session, self.run_id).count == len(dead)
        for piece in dead:
            piece.tries, piece.crashes = piece.tries + piece.crashes, 0
        self._move(WorkState.FAILED, WorkState.READY)

    @invariant()
    def the_database_agrees(self) -> None:
        with self.sessions() as session:
            rows = session.scalars(select(WorkItem).where(WorkItem.run_id == self.run_id)).all()
        assert {row.id: (row.state, row.lease_token) for row in rows} == {
            id: (piece.state, piece.token) for id, piece in self.pieces.items()
        }
        for row in rows:
            assert (row.state == WorkState.LEASED) is (row.lease_token is not None)
            piece = self.pieces[row.id]
            tries = row.failures + row.timeouts + row.overloads + row.crashes + row.earlier_tries
            assert (tries, row.crashes) == (piece.tries + piece.crashes, piece.crashes)

    def _claim(self, session: Session, worker: str, count: int, suspect: bool) -> list[Claim]:
        claims = work.claim(
            session, self.run_id, names.INSTRUCTIONS, count=count, lease_s=60, worker=worker, suspect=suspect
        )
        assert sum(each.suspect for each in claims) <= suspect
        return claims

    def _claimed(self, worker: str, claims: list[Claim]) -> None:
        assert not claims or self.state == RunState.RUNNING
        for claim in claims:
            piece = self.pieces[claim.id]
            assert piece.state == WorkState.READY
            assert claim.attempt == piece.tries + piece.crashes
            piece.state, piece.token = WorkState.LEASED, claim.token
        self.held[worker].claims += claims

    def _pick(self, worker: str, which: int) -> Iterator[Claim]:
        if self.held[worker].claims:
            yield self.held[worker].some(which)

    @property
    def _returned(self) -> WorkState:
        """What becomes of work that comes back."""
        return WorkState.READY if self.state in GOING_ON else WorkState.DROPPED

    def _ended(self, claim: Claim, state: WorkState) -> set[uuid.UUID]:
        """What becomes of a piece whose claim ends so, if the claim still holds."""
        piece = self.pieces[claim.id]
        if piece.token != claim.token:
            return set()
        piece.state, piece.token = state, None
        return {claim.id}

    def _move(self, before: WorkState, after: WorkState) -> None:
        for piece in self.pieces.values():
            if piece.state == before:
                piece.state = after


@pytest.mark.timeout(300)
def test_work_is_where_its_transitions_leave_it(sessions: Sessions) -> None:
    class OnThisDatabase(Transitions):
        pass

    OnThisDatabase.sessions = sessions
    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
