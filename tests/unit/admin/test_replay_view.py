import pytest
from rich.console import Console
from rich.text import Text

from services.admin.replay_report import closeness
from services.admin.replay_view import side_by_side


def marked(text: object) -> tuple[str, list[str]]:
    """A cell's text, and the parts of it that are marked."""
    assert isinstance(text, Text)
    return text.plain, [text.plain[span.start : span.end] for span in text.spans]


def test_what_only_one_answer_has_is_marked() -> None:
    columns = [next(iter(column.cells)) for column in side_by_side("A red cat.", "A  blue cat, sleeping.").columns]
    assert [marked(cell) for cell in columns] == [
        ("A red cat.", [" red"]),
        ("A  blue cat, sleeping.", ["  blue", ", sleeping"]),
    ]


def test_no_answer_can_steer_the_terminal() -> None:
    console = Console(width=40)
    with console.capture() as captured:
        console.print(side_by_side("\x1b[2J [bold]as it is[/bold]", ""))
    assert "\N{REPLACEMENT CHARACTER}[2J [bold]as it is[/bold]" in captured.get()


@pytest.mark.parametrize(("one", "other", "score"), [("...", "...", 1.0), ("...", "!", 0.0), ("running", "runs", 1.0)])
def test_equal_texts_are_as_close_as_can_be(one: str, other: str, score: float) -> None:
    assert closeness(one, other) == score
