"""Reads what an LM wrote after a prompt's open slot. Nothing here raises, whatever the text.

The markers are those of the shipped templates: `Task 7:` in the instruction prompts; `Instruction:`,
`Input:`, `Output:` at the start of a line, and a line of `[END]`, in the instance and output prompts.
A template of one's own uses the same.
"""

import re
from dataclasses import dataclass

from shared.method.filters import Rejection


@dataclass(frozen=True, slots=True)
class ParsedInstruction:
    """A proposed instruction; `truncated` when the LM ran out of tokens before its end."""

    text: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class ParsedInstance:
    """An instance's input (empty for `output_only`) and its output, which is never empty."""

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class ParsedOutput:
    """One LM's output for an instance, never empty."""

    text: str


# The second half catches a marker that the last token cut in two.
_TASK = re.compile(r"^Task \d+:|^Task ?\d*\Z", re.MULTILINE)
# A small LM now and then puts the closing marker at the end of its last line.
_END = re.compile(r"^[ \t]*\[END\b|[ \t]+\[END\]?[ \t]*$|^Instruction:", re.MULTILINE)
_FENCE = re.compile(r"(?:^|(?<=:))[ \t]*```(?P<language>[^\n]*)", re.MULTILINE)
_LAST_FENCE = re.compile(r"\n[ \t]*```[ \t]*\Z")
_WHOLE_FENCE = re.compile(r"\A```(?:text|txt|plaintext|none)?[ \t]*\n(?P<inner>.*)\n```\Z", re.DOTALL)


def _marker(name: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The template's own marker, and one that allows for Markdown, case and a stray space."""
    loose = rf"^ ?(?:#{{1,4}} ?|\*\*?|__?)?{name}(?:\*\*?|__?)? ?[:：](?:\*\*?|__?)?"
    return re.compile(rf"^{name}:", re.MULTILINE), re.compile(loose, re.MULTILINE | re.IGNORECASE)


_INSTRUCTION, _INPUT, _OUTPUT = (_marker(name) for name in ("Instruction", "Input", "Output"))


def parse_instructions(text: str, limit: int = 1, *, truncated: bool = False) -> tuple[ParsedInstruction, ...]:
    """The instructions that follow the open `Task n:`, at least one and at most `limit`.

    Only the template's own marker separates two, so a numbered list or a blank line inside an
    instruction stays. An answer with no text gives one empty instruction, for the filters to name.
    Here as in the parsers below a text loses a last line that closes a code fence when none is open.
    `truncated` says that the LM stopped at its token limit.
    """
    parts = [_without_stray_fence(part.strip()) for part in _TASK.split(text)]
    found = [ParsedInstruction(part, truncated and index == len(parts) - 1) for index, part in enumerate(parts) if part]
    return tuple(found[: max(limit, 1)]) or (ParsedInstruction("", truncated),)


def parse_instance_with_input(text: str, *, truncated: bool = False) -> ParsedInstance | Rejection:
    """The input and output that follow the open `Input:`; they meet at the first `Output:` line.

    An `Output:` within a code fence separates only when there is no other.
    """
    block, closed = _first_block(_without_echo(text, _INPUT))
    cut_short = truncated and not closed
    marker = _find(block, _OUTPUT)
    if marker is None:
        return Rejection.TRUNCATED if cut_short else Rejection.MISSING_OUTPUT_MARKER
    input, output = (_without_stray_fence(part.strip()) for part in (block[: marker.start()], block[marker.end() :]))
    if not input:
        return Rejection.EMPTY_INPUT
    if cut_short:
        return Rejection.TRUNCATED
    return ParsedInstance(input, output) if output else Rejection.EMPTY_OUTPUT


def parse_instance_without_input(text: str, *, truncated: bool = False) -> ParsedInstance | Rejection:
    """The output that follows the open `Output:` of an instruction that needs no input."""
    output = parse_output(text, truncated=truncated)
    return output if isinstance(output, Rejection) else ParsedInstance("", output.text)


def parse_output(text: str, *, truncated: bool = False) -> ParsedOutput | Rejection:
    """The output that follows an open `Output:`, or a chat LM's whole answer.

    An answer that is one code fence without a language, or marked as text, loses the fence.
    """
    block, closed = _first_block(_without_echo(text, _OUTPUT))
    if truncated and not closed:
        return Rejection.TRUNCATED
    output = _without_stray_fence(_without_fence(block.strip()))
    return ParsedOutput(output) if output else Rejection.EMPTY_OUTPUT


def _first_block(text: str) -> tuple[str, bool]:
    """The text up to the end of its block, and whether that end is there."""
    end = _END.search(_without_fenced_code(text))
    return (text[: end.start()], True) if end else (text, False)


def _without_echo(text: str, slot: tuple[re.Pattern[str], re.Pattern[str]]) -> str:
    """`text` without a repetition of the prompt's last lines before what it writes into the slot."""
    start = text.lstrip()
    leading = next((found for pattern in slot if (found := pattern.match(start))), None)
    if leading is None and any(pattern.match(text.lstrip(" ")) for pattern in _INSTRUCTION):
        leading = _find(start, slot)
    return start[leading.end() :] if leading else text


def _find(text: str, marker: tuple[re.Pattern[str], re.Pattern[str]]) -> re.Match[str] | None:
    """The marker outside code fences, its own spelling first; failing that, within one."""
    bare = _without_fenced_code(text)
    return next((found for where in (bare, text) for pattern in marker if (found := pattern.search(where))), None)


def _without_fenced_code(text: str) -> str:
    """`text` with each closed code fence blanked out, every other character at its place."""
    pieces, done, opening = [], 0, None
    for fence in _FENCE.finditer(text):
        bare_line = not fence["language"].strip() and text[fence.start() - 1 : fence.start()] != ":"
        if opening is None:
            opening = fence.start()
        elif bare_line:
            pieces += [text[done:opening], " " * (fence.end() - opening)]
            done, opening = fence.end(), None
    return "".join([*pieces, text[done:]])


def _without_stray_fence(text: str) -> str:
    """`text` without a last line that closes a code fence though none is open."""
    last = _LAST_FENCE.search(text)
    return text[: last.start()].rstrip() if last and len(_FENCE.findall(text)) % 2 else text


def _without_fence(text: str) -> str:
    fence = _WHOLE_FENCE.match(text)
    if fence is None or "```" in fence["inner"]:
        return text
    return fence["inner"].strip()
