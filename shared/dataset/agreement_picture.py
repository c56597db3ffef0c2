"""The agreement between voices as a picture: a heat map, and bars for who wins and how long outputs are."""

from collections.abc import Sequence

from shared.dataset.drawing import (
    BAR,
    COLOURS,
    GAP,
    INK,
    LABELS,
    MARGIN,
    PAPER,
    WIDTH,
    bar,
    document,
    heading,
    legend,
    name,
    paragraphs,
    rect,
    text,
)
from shared.method.agreement import AgreementReport, VoiceReport

LARGEST_CELL, LEAST_CELL_FOR_SHARE = 84, 56
PALE, DEEP = (238, 243, 250), (8, 48, 107)
LENGTHS = ("its outputs", "those that were chosen", "the others' outputs")


def picture(report: AgreementReport, title: str, remarks: Sequence[str]) -> str:
    """An SVG document that stands alone; `remarks` are written below."""
    top, parts = 84, []
    for draw in (_heat_map if report.pairs else _alone, _win_rates, _lengths):
        drawn, height = draw(report, top)
        parts += drawn
        top += height + 28
    lines, height = paragraphs(top, remarks)
    return document(title, _figures(report), description(report), [*parts, *lines], top + height + 8)


def description(report: AgreementReport) -> str:
    """The picture in words, for who can't see it."""
    wins = (f"{each.voice} won {each.wins} with {_number(each.mean_words)} words" for each in report.voices)
    agree = "; ".join(f"{' and '.join(each.voices)} agree by {each.mean_rouge_l:.2f}" for each in report.pairs)
    return f"{_figures(report)}. {'; '.join(wins)}.{f' Rouge-L: {agree}.' if agree else ''}"


def _figures(report: AgreementReport) -> str:
    exact = "" if report.exact_share is None else f", {report.exact_share:.0%} of these as exact matches"
    return f"{report.instances} instances judged, {report.kept} outputs kept{exact}"


def _heat_map(report: AgreementReport, top: int) -> tuple[list[str], int]:
    voices = [each.voice for each in report.voices]
    cell = min(LARGEST_CELL, (WIDTH - 2 * MARGIN - LABELS) // len(voices))
    parts = [heading(top, "How much voices agree: mean Rouge-L, and how often word for word")]
    pairs = {each.voices: each for each in report.pairs}
    first = top + 40
    for row, one in enumerate(voices):
        y = first + row * cell
        parts.append(name(MARGIN + LABELS - 8, y + cell // 2 + 4, one, anchor="end"))
        parts.append(name(MARGIN + LABELS + row * cell + cell // 2, first - 8, one, anchor="middle", most=cell // 8))
        for column, two in enumerate(voices):
            x = MARGIN + LABELS + column * cell
            pair = pairs.get((one, two)) or pairs.get((two, one))
            if pair is None:
                parts.append(rect(x, y, cell - 2, cell - 2, "#f4f4f4"))
                continue
            ink = PAPER if pair.mean_rouge_l > 0.5 else INK
            middle = x + cell // 2 - 1
            parts.append(rect(x, y, cell - 2, cell - 2, _shade(pair.mean_rouge_l)))
            parts.append(text(middle, y + cell // 2 + 1, f"{pair.mean_rouge_l:.2f}", anchor="middle", fill=ink))
            if cell >= LEAST_CELL_FOR_SHARE:
                equal = f"{pair.exact_share:.0%} equal"
                parts.append(text(middle, y + cell // 2 + 17, equal, size=11, anchor="middle", fill=ink))
    return parts, 40 + len(voices) * cell


def _alone(report: AgreementReport, top: int) -> tuple[list[str], int]:
    return [heading(top, "How much voices agree"), text(MARGIN, top + 26, "No two outputs were there to compare.")], 32


def _win_rates(report: AgreementReport, top: int) -> tuple[list[str], int]:
    rates = [(each, [(each.win_rate, f"{each.win_rate or 0:.0%} ({each.wins})")]) for each in report.voices]
    parts = [heading(top, "How often a voice's output was kept, where it had one")]
    bars, height = _bars(top + 16, rates, most=1.0)
    return [*parts, *bars], 16 + height


def _lengths(report: AgreementReport, top: int) -> tuple[list[str], int]:
    values = [(each, [(value, _number(value)) for value in _words(each)]) for each in report.voices]
    most = max([value for each in report.voices for value in _words(each) if value], default=1.0)
    parts = [heading(top, "How long outputs are, in words on average")]
    parts += legend(top + 16, LENGTHS)
    bars, height = _bars(top + 42, values, most=most)
    return [*parts, *bars], 42 + height


def _words(voice: VoiceReport) -> tuple[float | None, ...]:
    return voice.mean_words, voice.mean_words_when_chosen, voice.others_mean_words


def _bars(
    top: int, rows: Sequence[tuple[VoiceReport, Sequence[tuple[float | None, str]]]], *, most: float
) -> tuple[list[str], int]:
    """A group of bars for each voice, as long as its values are against `most`; a value may be missing."""
    parts, y = [], top
    for voice, values in rows:
        parts.append(name(MARGIN + LABELS - 8, y + len(values) * BAR // 2 + 5, voice.voice, anchor="end"))
        for (value, label), colour in zip(values, COLOURS, strict=False):
            parts += bar(y, (value or 0) / most, label, colour)
            y += BAR
        y += GAP
    return parts, y - top


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f}"


def _shade(value: float) -> str:
    return "#" + "".join(f"{round(pale + (deep - pale) * value):02x}" for pale, deep in zip(PALE, DEEP, strict=True))
