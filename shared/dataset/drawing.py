"""The parts that pictures in SVG are made of. Sizes are in pixels, a text's place is that of its baseline."""

from collections.abc import Sequence
from html import escape
from textwrap import wrap

WIDTH, MARGIN, LABELS = 760, 24, 170
BAR, GAP = 14, 8
BAR_ROOM = 96  # for the figure that stands behind a bar
INK, FAINT, PAPER = "#1d2733", "#5b6875", "#ffffff"
COLOURS = ("#3b6fb6", "#c96f1a", "#8a949f")
SHORT, LINE = 20, 105  # characters


def document(title: str, subtitle: str, description: str, parts: Sequence[str], height: int) -> str:
    """A picture that stands alone; `description` is for who can't see it."""
    heading = [text(MARGIN, 32, title, size=18, weight="bold"), text(MARGIN, 52, subtitle, fill=FAINT)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" role="img" aria-labelledby="title description" font-family="sans-serif">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="description">{escape(description)}</desc>',
            f'<rect width="100%" height="100%" fill="{PAPER}"/>',
            *heading,
            *parts,
            "</svg>\n",
        ]
    )


def heading(y: float, content: str) -> str:
    """What stands above a part of the picture."""
    return text(MARGIN, y + 4, content, size=14, weight="bold")


def paragraphs(y: int, contents: Sequence[str]) -> tuple[list[str], int]:
    """Lines of text, and how high they are together."""
    lines = [line for content in contents for line in wrap(content, LINE)]
    return [text(MARGIN, y + 17 * place, line, size=12) for place, line in enumerate(lines)], 17 * len(lines)


def legend(y: float, labels: Sequence[str]) -> list[str]:
    """What the colours mean."""
    parts, x = [], MARGIN + LABELS
    for label, colour in zip(labels, COLOURS, strict=False):
        parts += [rect(x, y, 12, 12, colour), text(x + 18, y + 10, label, size=12)]
        x += 42 + 6 * len(label)
    return parts


def bar(y: float, share: float, label: str, colour: str) -> list[str]:
    """A bar as long as its share of the longest one, with its figure behind it."""
    width = round((WIDTH - 2 * MARGIN - LABELS - BAR_ROOM) * share, 1)
    return [
        rect(MARGIN + LABELS, y, width, BAR - 2, colour),
        text(MARGIN + LABELS + width + 6, y + BAR - 4, label, size=11),
    ]


def name(x: float, y: float, called: str, *, anchor: str, most: int = SHORT) -> str:
    """What something is called, cut to as many characters as there is room for."""
    return text(x, y, called if len(called) <= most else called[: max(most - 1, 1)] + "…", anchor=anchor)


def text(
    x: float, y: float, content: str, *, size: int = 13, anchor: str = "start", fill: str = INK, weight: str = "normal"
) -> str:
    """A line of text."""
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{fill}"'
    return f'<text x="{x}" y="{y}" {style}>{escape(content)}</text>'


def rect(x: float, y: float, width: float, height: float, fill: str) -> str:
    """A filled rectangle."""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}"/>'
