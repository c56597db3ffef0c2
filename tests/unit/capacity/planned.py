"""A job and figures to plan it with."""

from typing import Any

from shared.capacity.figures import Figures
from shared.job import JobSpec


def a_job(**changes: Any) -> JobSpec:
    """A job with two models, each on a server of its own."""
    content: dict[str, Any] = {
        "name": "planned",
        "targets": {"output_only": 60},
        "models": {
            "writer": {"protocol": "tgi", "kind": "vanilla", "endpoints": ["http://a:1"], "max_in_flight": 16},
            "answerer": {"protocol": "openai", "kind": "instruct", "endpoints": ["http://b:1"], "max_in_flight": 16},
        },
        "instructions": {"model": "writer"},
        "instances": {"model": "writer"},
        "outputs": [{"model": "answerer"}],
    }
    return JobSpec.model_validate({**content, **changes})


def figures(**changes: Any) -> Figures:
    """A second a call; four of five are kept of everything."""
    calls = [
        {"stage": "instruction", "model": "writer", "latency_s": 1, "prompt_tokens": 1000, "completion_tokens": 30},
        {"stage": "instance", "model": "writer", "latency_s": 1, "prompt_tokens": 1500, "completion_tokens": 100},
        {"stage": "output", "model": "answerer", "latency_s": 1, "prompt_tokens": 100, "completion_tokens": 80},
    ]
    yields = {"instructions": 0.8, "instances": 0.8, "verdicts": 0.8}
    both = {"input_output": yields, "output_only": yields}
    return Figures.model_validate({"calls": calls, "yields": both, **changes})
