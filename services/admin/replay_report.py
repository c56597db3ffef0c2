"""How replays of a call compare with it."""

from typing import Any

from services.admin.replaying import Replays
from shared.lm.protocol import Answer, Description
from shared.method.rouge import stemmed_rouge_l_matrix
from shared.store.stored_calls import StoredCall

OF_SERVER = ("model_id", "model_revision", "server_version")


def closeness(one: str, other: str) -> float:
    """Stemmed Rouge-L F1, as the consensus compares outputs; 1 for equal texts, whatever is in them."""
    return 1.0 if one == other else stemmed_rouge_l_matrix([one, other])[0][1]


def changed(then: Description, now: Description) -> list[str]:
    """What a server says of itself now that it did not say then; what it never told can't have changed."""
    pairs = {name: (getattr(then, name), getattr(now, name)) for name in OF_SERVER}
    return [name for name, (before, after) in pairs.items() if before is not None and before != after]


def replay_report(stored: StoredCall, replays: Replays) -> dict[str, Any]:
    """The call, its answer then, and every replay, for a program."""
    then = stored.answer
    tries = [_try(then, now) for now in replays.answers]
    scores = [each["rouge_l"] for each in tries]
    return {
        "generation": stored.id,
        "run": stored.run,
        "stage": stored.stage,
        "model": stored.model,
        "prompt": stored.call.prompt,
        "chat": stored.call.chat,
        "seed": stored.call.seed,
        "then": {"at": stored.sent_at, **_told(then)},
        "replays": tries,
        "equal": sum(each["equal"] for each in tries),
        "distinct": len({each["response"] for each in tries}),
        "rouge_l": {"lowest": min(scores), "mean": sum(scores) / len(scores)},
        "broken_off": replays.broken_off and str(replays.broken_off),
    }


def _try(then: Answer, now: Answer) -> dict[str, Any]:
    equal, score = now.text == then.text, closeness(then.text, now.text)
    return {**_told(now), "equal": equal, "rouge_l": score, "changed": changed(then.served, now.served)}


def _told(given: Answer) -> dict[str, Any]:
    served = given.served
    return {
        "endpoint": given.endpoint,
        "served_model": served.model_id,
        "model_revision": served.model_revision,
        "server_version": served.server_version,
        "finish_reason": given.finish_reason,
        "prompt_tokens": given.prompt_tokens,
        "completion_tokens": given.completion_tokens,
        "latency_s": given.latency_s,
        "response": given.text,
    }
