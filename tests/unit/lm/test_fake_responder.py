"""The default answers must carry a whole run: novel instructions, parsable instances, voices that agree."""

import re
from collections.abc import Iterator
from dataclasses import replace

from shared.lm.fake_protocols import FakeAnswer, FakeRequest, write
from shared.lm.fake_responder import Sparing, respond
from shared.lm.protocol import FinishReason

INSTRUCTION_PROMPT = "A list of tasks.{}\n\nTask 1: Count the words.\n\nTask 2:"
SHOWN = "Examples.\n\nInstruction: Count.\nInput: a b\nOutput: 2\n[END]\n\n"


def say(prompt: str, seed: int | None = None, stop: tuple[str, ...] = (), chat: bool = False) -> str:
    request = FakeRequest("/generate", prompt, chat, seed, stop, 256, {})
    return write(respond(request), request).text


def instructions(count: int) -> Iterator[str]:
    for seed in range(count):
        yield say(INSTRUCTION_PROMPT.format(""), seed, ("\nTask ",)).strip()


def test_instructions_are_nearly_all_different() -> None:
    assert len(set(instructions(1000))) > 900


def test_some_instructions_are_bad_or_repeated() -> None:
    bad = re.compile(r"Count the words\.|- |Write a program|.*\bimage\b|\w+ it\.$")
    share = sum(bool(bad.match(text)) for text in instructions(1000)) / 1000
    assert 0.05 < share < 0.15


def test_a_sparing_lm_makes_one_good_proposal_in_so_many() -> None:
    sparing = Sparing(3)
    asked = [FakeRequest("/generate", INSTRUCTION_PROMPT.format(""), False, seed, (), 256, {}) for seed in range(300)]
    answers = [sparing(request).text for request in asked]
    assert answers.count(" Do it.") == 200
    assert answers[2] == respond(asked[2]).text
    instance = replace(asked[0], prompt=f"{SHOWN}Instruction: Count.\nInput:")
    assert sparing(instance) == respond(instance)


def test_without_a_stop_sequence_more_tasks_follow() -> None:
    written = say(INSTRUCTION_PROMPT.format(""), 1)
    assert re.findall(r"^Task (\d+):", written, re.MULTILINE) == ["3", "4", "5"]


def test_tasks_with_an_input_are_worded_for_one() -> None:
    assert say(INSTRUCTION_PROMPT.format(" Each is done with an input."), 1) != say(INSTRUCTION_PROMPT.format(""), 1)


def test_an_instance_has_an_input_and_an_output() -> None:
    prompt = f"{SHOWN}Instruction: Sort the words.\nInput:"
    written = [say(prompt, seed, ("\n[END]", "\nInstruction:")) for seed in range(300)]
    parsable = [text for text in written if re.fullmatch(r" [^\n]+\nOutput: [^\n]+", text)]
    assert 0.9 < len(parsable) / len(written) < 1


def test_the_voices_agree_on_most_instances() -> None:
    agreed = 0
    for number in range(300):
        task, given = f"Sort the words, {number}.", f"word {number}"
        zero_shot = say(f"Do it.\n\nTask: {task}\n\nInput:\n{given}", chat=True)
        few_shot = say(f"{SHOWN}Instruction: {task}\nInput: {given}\nOutput:", stop=("\n[END]",))
        agreed += bool(words(zero_shot) & words(few_shot))
    assert 0.7 < agreed / 300 < 0.9


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def test_a_tasks_output_does_not_depend_on_the_prompt_around_it() -> None:
    made = say(f"{SHOWN}Instruction: Sort 3.\nInput: x y\nOutput:", stop=("\n[END]",))
    again = say("Other.\n\nInstruction: Sort 3.\nInput: x y\nOutput:", stop=("\n[END]",))
    assert words(made) & words(again)


def test_the_limit_comes_before_the_stop_sequence() -> None:
    request = FakeRequest("/generate", "p", False, None, ("d",), 3, {})
    written = write(FakeAnswer("a b  c d"), request)
    assert (written.text, written.stop, written.finish_reason) == ("a b  c", "", FinishReason.LENGTH)
    assert written.tokens == 3
