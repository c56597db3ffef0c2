"""What the fake LM writes by default: plausible answers to the prompts in `prompts/`, enough for a whole run.

It looks at what a prompt ends with, as an LM does. Of the instructions about one in ten should fall to a
filter or to the novelty gate; on about eight instances in ten the voices agree, word for word or nearly.
"""

import hashlib
import random
import re

from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.lm.fake_words import ADJECTIVES, AUDIENCES, LIMITS, MANNERS, NOUNS, TOPICS, VERBS
from shared.method.drawing import choice

# A handful of fixed words in each, so that two sentences from one frame are seldom alike (Rouge-L above 0.7).
WITH_INPUT = (
    "{Verb} the {adj} {noun} about {topic} for {adj2} {audience} in {limit} {manner} words",
    "Given a {adj} {noun} on {topic}, {verb} its {manner} {noun2} and {verb2} {adj2} {audience}",
    "{Verb} {limit} {adj} {topic} from this {noun}, then {verb2} {adj2} {topic2} for {manner} {audience}",
    "Is this {adj} {noun} on {topic} {manner} or {manner2}, and which {audience} {verb} {adj2} {topic2}?",
    "{Verb} this {manner} {noun} about {topic} and {topic2} as {adj} {audience} and {adj2} {audience2} might",
)
WITHOUT_INPUT = (
    "Write {limit} {manner} {noun} lines about {adj} {topic} and {adj2} {topic2} for {audience}",
    "Name {limit} {adj} reasons why {audience} {verb} {manner} {noun} {topic} before {adj2} {topic2}",
    "How would {adj} {audience} {verb} a {manner} {noun} on {topic} for {adj2} {audience2}?",
    "Suggest {limit} {manner} titles for a {adj} {noun} where {adj2} {audience} {verb} {topic}",
    "Imagine {adj} {audience} who run {topic}; {verb} {limit} {manner} {noun} ideas for {adj2} {audience2}",
)
BAD = (
    "{Verb} it",  # too short
    "Describe the {adj} image of {topic} that {audience} would draw for a {noun}",  # unsuitable words
    "Write a program that will {verb} a {adj} {noun} about {topic} for {audience}",
    "- {verb} the {adj} {noun} about {topic} for {adj2} {audience}",  # starts with punctuation
)

WORDS = {
    "verb": VERBS,
    "adj": ADJECTIVES,
    "noun": NOUNS,
    "topic": TOPICS,
    "audience": AUDIENCES,
    "manner": MANNERS,
    "limit": LIMITS,
}

_WORD_KINDS = (ADJECTIVES, NOUNS, TOPICS, AUDIENCES)
_OPEN_TASK = re.compile(r"Task (\d+):")
_TASK = re.compile(r"^Task (\d+):(.*)$", re.MULTILINE)


class Sparing:
    """An LM of whose proposals one in `of` is worth anything: regularly, so that little is left to chance."""

    def __init__(self, of: int) -> None:
        self._of = of
        self._proposals = 0

    def __call__(self, request: FakeRequest) -> FakeAnswer:
        """The usual answer, or to most requests for a proposal one that is too short."""
        if _OPEN_TASK.fullmatch(request.prompt.rstrip().rpartition("\n")[2]):
            self._proposals += 1
            if self._proposals % self._of:
                return FakeAnswer(" Do it.")
        return respond(request)


def respond(request: FakeRequest) -> FakeAnswer:
    """Continue the prompt. The same prompt, seed and protocol path always get the same text."""
    prompt = request.prompt.rstrip()
    dice = _dice(prompt, str(request.seed), str(request.chat))
    last_line = prompt.rpartition("\n")[2]
    if next_task := _OPEN_TASK.fullmatch(last_line):
        tasks = 1 if request.stop else 3  # told no place to stop, an LM goes on
        return FakeAnswer(_tasks(prompt, int(next_task[1]), tasks, dice))
    if last_line == "Input:":
        return FakeAnswer(_input_and_output(prompt, dice))
    if last_line == "Output:":
        written = f" {_output(*_last_example(prompt), dice)}\n[END]\n"
        if any(stop in written for stop in request.stop):  # what would follow is cut off again
            return FakeAnswer(written)
        return FakeAnswer(f"{written}\nInstruction: {_task(dice, BAD)}")
    return FakeAnswer(_output(*_asked(prompt), dice))


def _tasks(prompt: str, number: int, tasks: int, dice: random.Random) -> str:
    frames = WITH_INPUT if "with an input" in prompt or "on a given input" in prompt else WITHOUT_INPUT
    written = (f" {_proposal(frames, prompt, dice)}\n\nTask {number + 1 + at}:" for at in range(tasks))
    return "".join(written)


def _proposal(frames: tuple[str, ...], prompt: str, dice: random.Random) -> str:
    luck = dice.random()
    if luck < 0.04 and (shown := [match[2].strip() for match in _TASK.finditer(prompt) if match[2].strip()]):
        return choice(shown, dice)
    return _task(dice, BAD if luck < 0.1 else frames)


def _task(dice: random.Random, frames: tuple[str, ...]) -> str:
    words = {}
    for name, known in WORDS.items():
        words[name], words[name + "2"] = choice(known, dice), choice(known, dice)
    text = choice(frames, dice).format(**words, Verb=words["verb"].capitalize())
    return text if text.endswith("?") else text + "."


def _input_and_output(prompt: str, dice: random.Random) -> str:
    instruction = _after(prompt, "\nInstruction: ").rpartition("\nInput:")[0]
    made_up = _sentence(dice, dice.randint(6, 24))
    luck = dice.random()
    if luck < 0.03:
        return f" {made_up}\n[END]\n"  # no output at all
    if luck < 0.05:
        made_up = "N/A"
    return f" {made_up}\nOutput: {_output(instruction, made_up, dice)}\n[END]\n\nInstruction:"


def _last_example(prompt: str) -> tuple[str, str]:
    example = _after(prompt, "\nInstruction: ").removesuffix("Output:")
    instruction, _, given = example.partition("\nInput: ")
    return instruction, given


def _asked(prompt: str) -> tuple[str, str]:
    instruction, _, given = _after(prompt, "\nTask: ").partition("\n\nInput:\n")
    return instruction, given


def _after(prompt: str, marker: str) -> str:
    return ("\n" + prompt).rpartition(marker)[2]


def _output(instruction: str, given: str, dice: random.Random) -> str:
    """What every voice says of this instruction and input, give or take; now and then each says its own."""
    common = _dice(*instruction.split(), "|", *given.split())
    if common.random() < 0.2:
        return " ".join(f"{choice(NOUNS, dice)}{dice.randrange(1000)}" for _ in range(dice.randint(2, 6)))
    words = _sentence(common, choice((1, 2, 6, 9, 14), common)).split()
    variation = dice.random()
    if variation < 0.3 and len(words) > 5:
        words[dice.randrange(1, len(words))] = choice(ADJECTIVES, dice)
    said = " ".join(words)
    return said.capitalize() if variation > 0.5 else f"{said}."


def _sentence(dice: random.Random, length: int) -> str:
    return " ".join([choice(choice(_WORD_KINDS, dice), dice) for _ in range(length)])


def _dice(*keys: str) -> random.Random:
    return random.Random(hashlib.sha256("\x1f".join(keys).encode(errors="replace")).digest())
