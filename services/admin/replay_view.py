"""A replay beside the call that it repeats: what differs of the server, the answer and its cost."""

import re
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher, unified_diff

from rich.table import Table
from rich.text import Text

from services.admin.console import answer, out, printable, table
from services.admin.replay_report import closeness
from services.admin.replaying import Replays
from shared.lm.protocol import Answer
from shared.store.stored_calls import StoredCall

LATENCY = "latency"  # never the same twice
ROWS: dict[str, Callable[[Answer], object]] = {
    "server": lambda each: each.endpoint,
    "model": lambda each: each.served.model_id,
    "revision": lambda each: each.served.model_revision,
    "server version": lambda each: each.served.server_version,
    "finish reason": lambda each: each.finish_reason,
    "tokens read": lambda each: each.prompt_tokens,
    "tokens written": lambda each: each.completion_tokens,
    LATENCY: lambda each: f"{each.latency_s:.2f} s",
}
DIFFERS = "bold yellow"
LINES = {"+": "green", "-": "red", "@": "cyan"}
TOKEN = re.compile(r"\s+|\w+|[^\w\s]")


def show(stored: StoredCall, replays: Replays, *, unified: bool) -> None:
    """A table of then and now, and the two answers; of several replays the one that is least like the first answer."""
    then = stored.answer
    now = min(replays.answers, key=lambda each: closeness(then.text, each.text))
    sent = stored.sent_at.isoformat(sep=" ", timespec="seconds")
    answer(f"generation {stored.id}: {stored.stage} by {stored.model} in run {stored.run}, sent {sent}")
    out.print(_then_and_now(then, now))
    answer(_verdict(then, replays))
    if now.text == then.text:
        answer(then.text)
    elif unified or not out.is_terminal:
        out.print(_diff(then.text, now.text))
    else:
        out.print(side_by_side(then.text, now.text))


def _then_and_now(then: Answer, now: Answer) -> Table:
    shown = table("", "then", "now")
    for label, of in ROWS.items():
        differs = label != LATENCY and of(then) != of(now)
        shown.add_row(label, _cell(of(then)), Text(_cell(of(now)), DIFFERS if differs else ""))
    return shown


def _cell(value: object) -> str:
    return "not told" if value is None else printable(str(value))


def _verdict(then: Answer, replays: Replays) -> str:
    texts = [each.text for each in replays.answers]
    equal, scores = texts.count(then.text), [closeness(then.text, each) for each in texts]
    if len(texts) == 1:
        return "the answer is the same" if equal else f"the answer differs: Rouge-L {scores[0]:.2f}"
    others = len({text for text in texts if text != then.text})
    spread = f"Rouge-L {min(scores):.2f} at lowest, {sum(scores) / len(scores):.2f} on average"
    return f"{equal} of {len(texts)} replays gave the same answer" + (
        f"; {others} other text(s): {spread}" if others else ""
    )


def _diff(then: str, now: str) -> Text:
    before, after = (printable(text).split("\n") for text in (then, now))
    lines = unified_diff(before, after, "then", "now", lineterm="")
    return Text("\n").join(Text(line, LINES.get(line[:1], "")) for line in lines)


def side_by_side(then: str, now: str) -> Table:
    """Two columns, in which the words that only one of them has are marked."""
    before, after = TOKEN.findall(printable(then)), TOKEN.findall(printable(now))
    steps = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    columns = Table("then", "now", expand=True)
    columns.add_row(
        _marked(((before[a:b], step == "equal") for step, a, b, _, _ in steps), f"bold {LINES['-']}"),
        _marked(((after[a:b], step == "equal") for step, _, _, a, b in steps), f"bold {LINES['+']}"),
    )
    return columns


def _marked(parts: Iterable[tuple[list[str], bool]], style: str) -> Text:
    return Text.assemble(*(("".join(tokens), "" if equal else style) for tokens, equal in parts))
