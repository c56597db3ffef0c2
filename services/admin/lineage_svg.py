"""A lineage as a picture: SVG that stands alone, to be read from left to right."""

from collections import Counter
from collections.abc import Sequence
from html import escape

from services.admin.layered_layout import Box, Point, Size, lay_out
from services.admin.lineage_folding import DEMONSTRATIONS, SHOWN, Drawn, Link, Picture, folded, in_words, whole
from services.admin.text_width import fitted, width_of
from shared.store.lineage import Lineage

MARGIN, HEADING = 24, 66
WIDTH, PADDING, STRIPE = 216, 10, 5
TITLE, HEAD, TEXT, ID = 18, 12, 11, 10  # sizes of letters
HEAD_LINE, LINE = 18, 15  # pixels from one line to the next
LINES, ONE_LINE = 3, frozenset({"seed_task"})  # of which a full picture has many
INK, FAINT, PAPER = "#1d2733", "#5b6875", "#ffffff"
WAY, SIDE_WAY, CHOSEN = "#7c8a98", "#c8d0d8", "#1e7b4b"
COLOURS = {
    "example": CHOSEN,
    "verdict": "#7a3e9d",
    "candidate": "#3b6fb6",
    "instance": "#0f7f8c",
    "instruction": "#a2660b",
    "generation": "#5b6875",
    "model": "#b03a48",
    "server": "#b0527d",
    "prompt_template": "#66741c",
    "seed_task": "#8a6d4b",
    "origin": "#8a6d4b",
    "origin_file": "#5c4630",
    DEMONSTRATIONS: "#8a6d4b",
}
SIDE_WAYS = frozenset({"asked", "answered_by", "serves", "rendered_from", SHOWN})


def lineage_svg(lineage: Lineage, *, full: bool = False) -> str:
    """The record at the left, what it came from to its right. Unless it is to be `full`, the demonstrations of a call
    are one box, and what only they came from is left out."""
    picture = whole(lineage) if full else folded(lineage)
    texts = {
        name: fitted(drawn.text, TEXT, WIDTH - STRIPE - 2 * PADDING, LINES) for name, drawn in picture.boxes.items()
    }
    sizes = {name: Size(WIDTH, HEAD_LINE + LINE * len(lines) + PADDING) for name, lines in texts.items()}
    layout = lay_out(sizes, [(link.child, link.parent) for link in picture.links])
    chosen = _chosen(lineage)
    links = [_link(picture, *each, chosen) for each in zip(picture.links, layout.lines, strict=True)]
    return "\n".join(
        [
            *_opening(picture, layout.width, layout.height),
            f'<g transform="translate({MARGIN} {MARGIN + HEADING})">',
            *sorted(links, key=lambda drawn: SIDE_WAY not in drawn),  # beneath the others
            *(_box(name, picture.boxes[name], texts[name], box, chosen) for name, box in layout.boxes.items()),
            "</g>",
            "</svg>\n",
        ]
    )


def _lines(drawn: Drawn) -> list[str]:
    return fitted(drawn.text, TEXT, WIDTH - STRIPE - 2 * PADDING, 1 if drawn.kind in ONE_LINE else LINES)


def _chosen(lineage: Lineage) -> frozenset[str]:
    """The candidates that the verdicts of this lineage chose."""
    verdicts = [node for node in lineage.nodes.values() if node.kind == "verdict"]
    return frozenset(str(verdict.attributes["choice_id"]) for verdict in verdicts)


def _opening(picture: Picture, width: float, height: float) -> list[str]:
    title = f"Where {picture.root.name} came from"
    remark = f"{len(picture.boxes)} boxes, {len(picture.links)} steps: each box came from those to its right"
    if picture.left_out:
        remark += f"; {picture.left_out} records, to which only demonstrations lead, are left out (--full)"
    kinds = Counter(in_words(drawn.kind) for drawn in picture.boxes.values())
    counts = ", ".join(f"{kind}: {count}" for kind, count in kinds.items())
    across = round(max(width, width_of(title, TITLE), width_of(remark, HEAD)) + 2 * MARGIN)
    down = round(height + HEADING + 2 * MARGIN)
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {down}" width="{across}" height="{down}" '
        f'role="img" aria-labelledby="title description" font-family="Helvetica, Arial, sans-serif" fill="{INK}">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(f"{picture.root.described}. {remark}. {counts}.")}</desc>',
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        f'<text x="{MARGIN}" y="{MARGIN + 12}" font-size="{TITLE}" font-weight="bold">{escape(title)}</text>',
        f'<text x="{MARGIN}" y="{MARGIN + 34}" font-size="{HEAD}" fill="{FAINT}">{escape(remark)}</text>',
    ]


def _box(name: str, drawn: Drawn, lines: Sequence[str], box: Box, chosen: frozenset[str]) -> str:
    colour = CHOSEN if name in chosen else COLOURS[drawn.kind]
    border = 2.5 if name in chosen or drawn.kind == "example" else 1
    left, base = box.x + STRIPE + PADDING, box.y + HEAD_LINE
    place = f'x="{box.x:.1f}" y="{box.y:.1f}" height="{box.height:.1f}"'
    head = f"{in_words(drawn.kind)}{', chosen' if name in chosen else ''}"
    begin = f'x="{left:.1f}" y="{base - 1:.1f}" font-weight="bold"'
    end = f'x="{box.right - PADDING:.1f}" y="{base - 1:.1f}" text-anchor="end" font-family="monospace"'
    return "\n".join(
        [
            f'<g class="node" data-id="{name}" data-kind="{drawn.kind}"><title>{escape(drawn.described)}</title>',
            f'<rect class="box" {place} width="{box.width:.1f}" rx="4" fill="{PAPER}" stroke="{colour}" '
            f'stroke-width="{border}"/>',
            f'<rect {place} width="{STRIPE}" rx="2" fill="{colour}"/>',
            f'<text {begin} font-size="{HEAD}" fill="{colour}">{head}</text>',
            f'<text {end} font-size="{ID}" fill="{FAINT}">{str(drawn.id or "")[:8]}</text>',
            *(
                f'<text x="{left:.1f}" y="{base + LINE * number:.1f}" font-size="{TEXT}">{escape(line)}</text>'
                for number, line in enumerate(lines, 1)
            ),
            "</g>",
        ]
    )


def _link(picture: Picture, link: Link, points: Sequence[Point], chosen: frozenset[str]) -> str:
    kept = link.relation == "output_from" and link.parent in chosen
    colour = CHOSEN if kept else SIDE_WAY if link.relation in SIDE_WAYS else WAY
    ends = f'data-child="{link.child}" data-relation="{link.relation}" data-parent="{link.parent}"'
    child, parent = (picture.boxes[end].name for end in (link.child, link.parent))
    return (
        f'<path class="edge" {ends} d="{_curve(points)}" fill="none" stroke="{colour}" '
        f'stroke-width="{2.5 if kept else 1.3}"><title>{child} ← {in_words(link.relation)} ← {parent}'
        "</title></path>"
    )


def _curve(points: Sequence[Point]) -> str:
    """Straight through each layer, and an S from one to the next."""
    (x, y), *rest = points
    parts = [f"M{x:.1f} {y:.1f}"]
    for number, (to_x, to_y) in enumerate(rest):
        half = (x + to_x) / 2
        bend = f"C{half:.1f} {y:.1f} {half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        parts.append(bend if number % 2 else f"L{to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return " ".join(parts)
