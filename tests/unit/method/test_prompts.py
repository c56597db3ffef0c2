"""How a template is read, and what it renders to."""

import hashlib

import pytest

from shared.method.decoding import Decoding
from shared.method.prompts import PromptError, UnrenderableError, parse_template, render
from shared.method.tasks import Demonstration, DemonstrationKind, Stage, TaskType

FRONT = """\
---
id: mine
version: 2
stage: instance
task_type: output_only
description: A test.
decoding: {temperature: 0.5, max_new_tokens: 64}
stop: ["\\n[END"]
---
"""
BODY = "{% for d in demonstrations %}\n{{ d.instruction }}\n{% endfor %}\n{{ instruction }}:\n"
DEMONSTRATION = Demonstration(DemonstrationKind.SEED, "s1", "Say {{ 7 * 7 }} {% raw %} <b>", "", "49")


def test_a_template_holds_what_its_front_matter_says() -> None:
    template = parse_template(FRONT + BODY)
    assert (template.id, template.version, template.stage) == ("mine", 2, Stage.INSTANCE)
    assert (template.task_type, template.stop) == (TaskType.OUTPUT_ONLY, ("\n[END",))
    assert template.decoding == Decoding(temperature=0.5, max_new_tokens=64)
    assert template.source == FRONT + BODY
    assert template.sha256 == hashlib.sha256((FRONT + BODY).encode()).hexdigest()


def test_demonstrations_come_in_their_order() -> None:
    other = Demonstration(DemonstrationKind.INSTRUCTION, "i1", "Say it.")
    prompt = render(parse_template(FRONT + BODY), (other, DEMONSTRATION), instruction="Go")
    assert prompt == "Say it.\nSay {{ 7 * 7 }} {% raw %} <b>\nGo:"


def test_what_a_text_holds_is_never_template() -> None:
    prompt = render(parse_template(FRONT + BODY), (), instruction="{{ demonstrations }} {# & #}")
    assert prompt == "{{ demonstrations }} {# & #}:"


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UnrenderableError, match="'instruction' is undefined"):
        render(parse_template(FRONT + BODY), ())


def test_a_template_knows_whether_it_shows_demonstrations() -> None:
    assert parse_template(FRONT + BODY).shows_demonstrations
    assert not parse_template(FRONT + "{{ instruction }}").shows_demonstrations


def test_the_stop_strings_hold_for_one_text() -> None:
    template = parse_template(FRONT + BODY)
    assert template.stop_for(1) == ("\n[END",)
    assert template.stop_for(4) == ()


def test_windows_line_ends_make_no_other_prompt() -> None:
    windows = parse_template((FRONT + BODY).replace("\n", "\r\n"))
    assert render(windows, (), instruction="Go") == "Go:"


@pytest.mark.parametrize(
    ("source", "field", "part"),
    [
        (BODY, "front matter", "two '---' lines"),
        ("---\nid: [\n---\nx", "front matter", "parsing"),
        ("---\n- 1\n---\nx", "front matter", "dictionary"),
        (FRONT.replace("version: 2\n", "") + BODY, "version", "required"),
        (FRONT.replace("mine", "Not Mine") + BODY, "id", "pattern"),
        (FRONT.replace("instance", "nowhere") + BODY, "stage", "instruction"),
        (FRONT.replace("instance", "consensus") + BODY, "stage", "has no prompt"),
        (FRONT.replace("0.5", "-1") + BODY, "decoding.temperature", "greater"),
        (FRONT.replace('["\\n[END"]', "[a, b, c, d, e]") + BODY, "stop", "at most 4"),
        (FRONT.replace('"\\n[END"', '""') + BODY, "stop.0", "at least 1"),
        (FRONT.replace("description", "remark") + BODY, "description", "required"),
        (FRONT + "{% for %}", "body", "line 1"),
        (FRONT + "{{ instructions }}", "body", "'instructions' is undefined"),
        (FRONT + "{{ demonstrations[0].instrution }}", "body", "instrution"),
        (FRONT + "{{ ''.__class__.__mro__ }}", "body", "unsafe"),
        (FRONT + "{{ 1 / 0 }}", "body", "division"),
        (FRONT + "\n", "body", "renders to nothing"),
    ],
)
def test_a_faulty_template_is_refused_with_file_and_field(source: str, field: str, part: str) -> None:
    with pytest.raises(PromptError) as caught:
        parse_template(source, "mine.md.j2")
    assert str(caught.value).startswith(f"mine.md.j2 is not a prompt template: {field}: ")
    assert part in str(caught.value)
