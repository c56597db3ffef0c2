"""The agreement between voices as a picture: a heat map, and bars for who wins and how long outputs are."""

from collections.abc import Sequence
from html import escape
from textwrap import wrap

from shared.method.agreement import AgreementReport, VoiceReport

WIDTH, MARGIN, LABELS = 760, 24, 170
LARGEST_CELL, LEAST_CELL_FOR_SHARE = 84, 56
BAR, GAP = 14, 4
BAR_ROOM = 96  # for the figure that stands behind a bar
INK, FAINT, PAPER = "#1d2733", "#5b6875", "#ffffff"
PALE, DEEP = (238, 243, 250), (8, 48, 107)
LENGTHS = (("its outputs", "#3b6fb6"), ("those that were chosen", "#c96f1a"), ("the others' outputs", "#8a949f"))
SHORT, LINE = 20, 105  # characters


def picture(report: AgreementReport, title: str, remarks: Sequence[str]) -> str:
    """An SVG document that stands alone; `remarks` are written below."""
    top, parts = 84, []
    for draw in (_heat_map, _win_rates, _lengths):
        drawn, height = draw(report, top)
        parts += drawn
        top += height + 28
    for line in [line for remark in remarks for line in wrap(remark, LINE)]:
        parts.append(_text(MARGIN, top, line, size=12))
        top += 17
    heading = [_text(MARGIN, 32, title, size=18, weight="bold"), _text(MARGIN, 52, _figures(report), fill=FAINT)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 8}" width="{WIDTH}" '
            f'height="{top + 8}" role="img" aria-labelledby="title description" font-family="sans-serif">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="description">{escape(description(report))}</desc>',
            f'<rect width="100%" height="100%" fill="{PAPER}"/>',
            *heading,
            *parts,
            "</svg>\n",
        ]
    )


def description(report: AgreementReport) -> str:
    """The picture in words, for who can't see it."""
    wins = (f"{each.voice} won {each.wins} with {_number(each.mean_words)} words" for each in report.voices)
    agree = (f"{' and '.join(each.voices)} agree by {each.mean_rouge_l:.2f}" for each in report.pairs)
    return f"{_figures(report)}. {'; '.join(wins)}. Rouge-L: {'; '.join(agree)}."


def _figures(report: AgreementReport) -> str:
    exact = "" if report.exact_share is None else f", {report.exact_share:.0%} of these as exact matches"
    return f"{report.instances} instances judged, {report.kept} outputs kept{exact}"


def _heat_map(report: AgreementReport, top: int) -> tuple[list[str], int]:
    voices = [each.voice for each in report.voices]
    cell = min(LARGEST_CELL, (WIDTH - 2 * MARGIN - LABELS) // len(voices))
    parts = [_heading(top, "How much voices agree: mean Rouge-L, and how often word for word")]
    pairs = {each.voices: each for each in report.pairs}
    first = top + 40
    for row, one in enumerate(voices):
        y = first + row * cell
        parts.append(_name(MARGIN + LABELS - 8, y + cell // 2 + 4, one, anchor="end"))
        parts.append(_name(MARGIN + LABELS + row * cell + cell // 2, first - 8, one, anchor="middle", most=cell // 8))
        for column, two in enumerate(voices):
            x = MARGIN + LABELS + column * cell
            pair = pairs.get((one, two)) or pairs.get((two, one))
            if pair is None:
                parts.append(_rect(x, y, cell - 2, cell - 2, "#f4f4f4"))
                continue
            ink = PAPER if pair.mean_rouge_l > 0.5 else INK
            middle = x + cell // 2 - 1
            parts.append(_rect(x, y, cell - 2, cell - 2, _shade(pair.mean_rouge_l)))
            parts.append(_text(middle, y + cell // 2 + 1, f"{pair.mean_rouge_l:.2f}", anchor="middle", fill=ink))
            if cell >= LEAST_CELL_FOR_SHARE:
                equal = f"{pair.exact_share:.0%} equal"
                parts.append(_text(middle, y + cell // 2 + 17, equal, size=11, anchor="middle", fill=ink))
    return parts, 40 + len(voices) * cell


def _win_rates(report: AgreementReport, top: int) -> tuple[list[str], int]:
    rates = [(each, [(each.win_rate, f"{each.win_rate or 0:.0%} ({each.wins})")]) for each in report.voices]
    parts = [_heading(top, "How often a voice's output was kept, where it had one")]
    bars, height = _bars(top + 16, rates, [LENGTHS[0][1]], most=1.0)
    return [*parts, *bars], 16 + height


def _lengths(report: AgreementReport, top: int) -> tuple[list[str], int]:
    values = [(each, [(value, _number(value)) for value in _words(each)]) for each in report.voices]
    most = max([value for each in report.voices for value in _words(each) if value], default=1.0)
    parts = [_heading(top, "How long outputs are, in words on average")]
    x = MARGIN + LABELS
    for label, colour in LENGTHS:
        parts += [_rect(x, top + 12, 12, 12, colour), _text(x + 18, top + 22, label, size=12)]
        x += 36 + 7 * len(label)
    bars, height = _bars(top + 36, values, [colour for _, colour in LENGTHS], most=most)
    return [*parts, *bars], 36 + height


def _words(voice: VoiceReport) -> tuple[float | None, ...]:
    return voice.mean_words, voice.mean_words_when_chosen, voice.others_mean_words


def _bars(
    top: int,
    rows: Sequence[tuple[VoiceReport, Sequence[tuple[float | None, str]]]],
    colours: Sequence[str],
    *,
    most: float,
) -> tuple[list[str], int]:
    """A group of bars for each voice, as long as its values are against `most`; a value may be missing."""
    parts, y = [], top
    room = WIDTH - 2 * MARGIN - LABELS - BAR_ROOM
    for voice, values in rows:
        parts.append(_name(MARGIN + LABELS - 8, y + len(values) * BAR // 2 + 5, voice.voice, anchor="end"))
        for (value, label), colour in zip(values, colours, strict=True):
            width = round(room * (value or 0) / most, 1)
            parts.append(_rect(MARGIN + LABELS, y, width, BAR - 2, colour))
            parts.append(_text(MARGIN + LABELS + width + 6, y + BAR - 4, label, size=11))
            y += BAR
        y += GAP
    return parts, y - top


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f}"


def _shade(value: float) -> str:
    return "#" + "".join(f"{round(pale + (deep - pale) * value):02x}" for pale, deep in zip(PALE, DEEP, strict=True))


def _heading(y: float, content: str) -> str:
    return _text(MARGIN, y + 4, content, size=14, weight="bold")


def _name(x: float, y: float, voice: str, *, anchor: str, most: int = SHORT) -> str:
    return _text(x, y, voice if len(voice) <= most else voice[: max(most - 1, 1)] + "…", anchor=anchor)


def _text(
    x: float, y: float, content: str, *, size: int = 13, anchor: str = "start", fill: str = INK, weight: str = "normal"
) -> str:
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{fill}"'
    return f'<text x="{x}" y="{y}" {style}>{escape(content)}</text>'


def _rect(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}"/>'
