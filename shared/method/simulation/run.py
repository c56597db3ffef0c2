"""A run simulated, from its first proposal to its last verdict."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from random import Random

from shared.method.pace import RENEW_S
from shared.method.simulation.gate import Gate, Judges
from shared.method.simulation.outcome import Made, Simulated, Use
from shared.method.simulation.passage import Passage
from shared.method.simulation.pipeline import Pipeline
from shared.method.simulation.scenario import Call, Pool, Scenario
from shared.method.simulation.stream import Stream
from shared.method.simulation.windows import Agreement, Servers, Window
from shared.method.simulation.worker import Worker

RENEWALS = 8  # of the shares while a call lasts, at most: more often shows nothing that matters


def simulate(scenario: Scenario, seed: int = 0) -> Simulated:
    """Run a scenario to its end; the same seed gives the same."""
    pipeline = Pipeline(scenario, Random(seed))
    gate = Gate(pipeline)
    pipeline.connect(gate.advance, Judges(pipeline, gate).wake)
    servers = {pool.name: _joined(pipeline, pool) for pool in scenario.pools}
    pipeline.clock.after(scenario.start_s, partial(_begin, pipeline))
    pipeline.clock.run(lambda: all(each.over for each in pipeline.passages))
    return _simulated(pipeline, gate, servers)


def _begin(pipeline: Pipeline) -> None:
    for passage in pipeline.passages:
        pipeline.add(passage.propose(pipeline.scenario.lookahead))


def _joined(pipeline: Pipeline, pool: Pool) -> Servers:
    """The servers of a pool, with all streams that call them."""
    servers = Servers(pipeline.clock, pool)
    windows = [
        _window(pipeline, worker, servers, name, limit)
        for worker in pipeline.workers
        for name, limit in pool.limits.items()
        if _calls(pipeline.scenario, worker, name)
    ]
    calls = [call for call in _all_calls(pipeline.scenario) if call.model in pool.limits]
    renewals = max(1, int(min(call.latency.mean for call in calls) / RENEWALS / RENEW_S))
    agreement = Agreement(pool.size, windows, renewals)

    def renew() -> None:
        agreement.renew()
        if not agreement.alone:
            pipeline.clock.after(renewals * RENEW_S, renew)

    if agreement.alone:
        windows[0].slots = windows[0].limit
    else:
        pipeline.clock.after(pipeline.scenario.start_s, renew)
    return servers


def _window(pipeline: Pipeline, worker: Worker, servers: Servers, name: str, limit: int) -> Window:
    window = Window(name, servers, limit)
    for queue, call in _calls(pipeline.scenario, worker, name).items():
        pipeline.streams.append(
            Stream(
                pipeline.clock,
                pipeline.chance,
                pipeline.scenario.costs,
                worker,
                queue,
                call.stage,
                window,
                pipeline.backlogs[queue],
                pipeline.written,
            )
        )
    return window


def _calls(scenario: Scenario, worker: Worker, model: str) -> dict[str, Call]:
    """The calls of a model that a worker makes, one for each queue."""
    return {call.queue: call for call in _all_calls(scenario) if call.model == model and call.queue in worker.queues}


def _all_calls(scenario: Scenario) -> list[Call]:
    return [call for kind in scenario.kinds for call in kind.calls]


def _simulated(pipeline: Pipeline, gate: Gate, servers: Mapping[str, Servers]) -> Simulated:
    calls, cpu_s = Counter[str](), Counter[str]()
    for stream in pipeline.streams:
        calls.update(stream.calls)
    for worker in pipeline.workers:
        cpu_s.update(worker.spent_s)
    return Simulated(
        seconds=pipeline.clock.now,
        calls=calls,
        servers={name: _use(each) for name, each in servers.items()},
        cpu_s=cpu_s,
        gate_s=gate.spent_s,
        made={passage.kind.name: _made(passage) for passage in pipeline.passages},
        gave_up=any(passage.gave_up for passage in pipeline.passages),
    )


def _use(servers: Servers) -> Use:
    return Use(servers.busy_s, servers.call_s, servers.crowd_s)


def _made(passage: Passage) -> Made:
    return Made(
        proposals=passage.proposed,
        instructions=passage.accepted,
        instances=passage.instances,
        accepted_instances=passage.accepted_instances,
        verdicts=passage.verdicts,
        examples=passage.examples,
    )
