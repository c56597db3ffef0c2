"""Two runs of different owners on the same servers, with real worker processes."""

import json

from shared.lm.fake import FakeServer
from tests.e2e.stack import Stack, a_job, all_queues

SLOTS = 16
FEW = 40  # answers, after which both runs are in full swing
MANY = 240


def _begin(stack: Stack, server: FakeServer, owner: str, share: float) -> str:
    model = {"protocol": "tgi", "kind": "vanilla", "endpoints": [server.url], "max_in_flight": SLOTS}
    job = a_job({"base": model}, {"output_only": 2000}, owner=owner, share=share, instructions={"lookahead": 200})
    return stack.enqueue({**job, "consensus": {"rule": "none"}, "outputs": []})


def _answers(stack: Stack) -> dict[str, int]:
    return dict(stack.rows("SELECT run_id::text, count(*) FROM generations GROUP BY run_id"))


def test_two_runs_share_a_server_by_weight_and_cancelling_one_frees_it(stack: Stack) -> None:
    queues = [each for each in all_queues(["base"]) if not each.startswith("outputs.")]
    for _ in range(2):
        stack.start(*queues, concurrency=8)
    with FakeServer(latency=0.4) as server:
        large = _begin(stack, server, "one team", 3)
        small = _begin(stack, server, "another team", 1)
        stack.wait("both runs", lambda: min([_answers(stack).get(run, 0) for run in (large, small)]) >= FEW)
        before = _answers(stack)
        stack.wait("many answers", lambda: sum(_answers(stack).values()) - sum(before.values()) >= MANY)
        now = _answers(stack)
        made = {run: now[run] - before[run] for run in (large, small)}
        assert 2 < made[large] / made[small] < 4.5
        assert server.most_in_flight <= SLOTS

        stack.command("cancel", large)
        slots = "SELECT coalesce(sum(slots), 0) FROM model_shares WHERE run_id = CAST(:id AS uuid)"
        stack.wait("no slot for the one", lambda: stack.rows(slots, id=large) == [0])
        stack.wait("all slots for the other", lambda: stack.rows(slots, id=small) == [SLOTS])
        cancelled, until = _answers(stack)[large], _answers(stack)[small] + MANY
        stack.wait("the other's answers", lambda: _answers(stack)[small] >= until)
        assert _answers(stack)[large] == cancelled
        assert server.most_in_flight <= SLOTS

    listed = json.loads(stack.command("runs", "--json"))
    assert {each["owner"] for each in listed} == {"one team", "another team"}
