"""The picture is a well-formed document that says in text what it shows in colour."""

from xml.etree import ElementTree

import pytest

from shared.dataset.agreement import warning
from shared.dataset.agreement_picture import picture
from shared.method.agreement import AgreementReport, Bloc, PairReport, VoiceReport

SVG = "{http://www.w3.org/2000/svg}"
BLOC = Bloc(("one", "two"), 105, 89, 2 / 3, 0.81, 0.12, 4.0, 36.0)


def a_report(voices: int) -> AgreementReport:
    names = [f"voice-{number}-{'x' * number}" for number in range(voices)]
    told = tuple(VoiceReport(name, 105, 3, 3 / 105, 4.0, 36.0, None) for name in names)
    pairs = tuple(PairReport((a, b), 105, 0.25, 0.5) for i, a in enumerate(names) for b in names[i + 1 :])
    return AgreementReport(105, 100, 20, told, pairs, (BLOC,))


def drawn(voices: int, title: str = "a run", remarks: tuple[str, ...] = ()) -> ElementTree.Element:
    return ElementTree.fromstring(picture(a_report(voices), title, remarks))  # noqa: S314 - our own


@pytest.mark.parametrize("voices", [1, 2, 3, 8, 20])
def test_the_picture_holds_everything_within_its_frame(voices: int) -> None:
    root = drawn(voices)
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    boxes = [box for box in root.iter(f"{SVG}rect") if "x" in box.attrib]
    assert boxes
    for box in boxes:
        assert float(box.attrib["x"]) + float(box.attrib["width"]) <= width
        assert float(box.attrib["y"]) + float(box.attrib["height"]) <= height
    assert all(float(text.attrib["y"]) < height for text in root.iter(f"{SVG}text"))


def test_it_has_a_title_and_a_description_for_who_cannot_see_it() -> None:
    root = drawn(2, "run <1> & co")
    title, description = (root.findtext(f"{SVG}{tag}") for tag in ("title", "desc"))
    assert title == "run <1> & co"
    assert description
    assert "105 instances judged, 100 outputs kept, 20% of these as exact matches" in description
    assert "voice-0- and voice-1-x agree by 0.25" in description
    assert root.attrib["role"] == "img"


def test_each_cell_says_its_figures() -> None:
    texts = [text.text for text in drawn(3).iter(f"{SVG}text")]
    assert texts.count("0.25") == 6
    assert texts.count("50% equal") == 6


def test_remarks_are_written_in_lines() -> None:
    texts = [text.text or "" for text in drawn(2, remarks=("word " * 60,)).iter(f"{SVG}text")]
    assert sum(text.count("word ") for text in texts) > 50
    assert max(len(text) for text in texts) <= 105


def test_a_warning_tells_what_happened_and_how_to_mend_it() -> None:
    told = warning(BLOC, "demo-1")
    assert "over the 105 instances that kept an output" in told
    assert "won 89 of them (85%, where 67% would be an even share)" in told
    assert "with outputs 9.0 times shorter than the others' (4.0 words against 36.0)" in told
    assert "`family`" in told
    assert "`weight`" in told
    assert told.endswith("ensemble-instruct rejudge demo-1 --family one=akin --family two=akin --dry-run")


@pytest.mark.parametrize(
    ("words", "others", "told"),
    [
        (4.0, 4.5, "about as long as the others'"),
        (9.0, 3.0, "3.0 times longer than the others'"),
        (0.0, 3.0, "far shorter than the others'"),
        (0.0, 0.0, "about as long as the others'"),
    ],
)
def test_a_warning_compares_lengths(words: float, others: float, told: str) -> None:
    bloc = Bloc(("one", "two"), 105, 89, 2 / 3, 0.81, 0.12, words, others)
    assert f"with outputs {told} (" in warning(bloc, "demo-1")
