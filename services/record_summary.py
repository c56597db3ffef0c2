"""What a record of the lineage is, in a line."""

from shared.method.consensus import Rule
from shared.shortening import shortened
from shared.store.lineage import Node

LONGEST = 80  # characters of a text


def summary(node: Node) -> str:
    """What a person knows it by."""
    values = node.attributes
    match node.kind:
        case "example":
            return f"{_short(values['instruction'])} → {_short(values['output'])}"
        case "verdict":
            scores = ", ".join(
                f"{row[column]:.2f}"
                for index, row in enumerate(values["scores"])
                for column in range(index + 1, len(row))
            )
            unmatched = "the first, unjudged" if values["rule"] == Rule.NONE else "most alike the others"
            how = "exact match" if values["exact_match"] else values["reason"] or unmatched
            which = f"judgement {values['judgement']}, " if values["judgement"] else ""
            return f"{which}{values['rule']}: {how}; Rouge-L of the pairs: {scores or 'none'}"
        case "candidate":
            return f"{values['voice']}: {_short(values['output'] or values['reason'])}"
        case "instance":
            return f"input: {_short(values['input'])}" if values["input"] else values["reason"] or "no input"
        case "instruction":
            return _short(values["text"])
        case "generation":
            tokens = f"{values['prompt_tokens'] or '?'} → {values['completion_tokens'] or '?'} tokens"
            again = f", attempt {values['attempt'] + 1}" if values["attempt"] else ""
            return f"{values['stage']}{again}, {tokens}, {values['latency_s']:.1f} s"
        case "model":
            return f"{values['name']} ({values['served_model'] or values['protocol']})"
        case "server":
            told = [
                values["served_model"],
                values["model_revision"] and f"revision {values['model_revision'][:12]}",
                values["server_version"] and f"server {values['server_version']}",
            ]
            return ", ".join([values["endpoint"], *filter(None, told)])
        case "prompt_template":
            return f"{values['name']} v{values['version']}, sha256 {values['sha256'][:12]}"
        case "origin":
            return f"line {values['line']} of {values['file']}: {_short(values['record'].get('instruction') or '')}"
        case "origin_file":
            said = [values["source"], values["licence"], f"sha256 {values['sha256'][:12]}"]
            return ", ".join([values["name"], *filter(None, said)])
        case _:
            return f"{values['source_id']}: {_short(values['instruction'])}"


def why_retracted(node: Node) -> str:
    """Which retractions it is retracted by, and why."""
    return "retracted " + ", ".join(f"({mark.retraction}: {_short(mark.reason)})" for mark in node.retracted)


def _short(text: str) -> str:
    return shortened(text, LONGEST)
