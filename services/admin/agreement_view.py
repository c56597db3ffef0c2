"""How the agreement between voices looks in a terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.admin.console import table
from shared.method.agreement import AgreementReport, PairReport
from shared.method.terms import Terms

SHADES = ("", "on grey11", "on grey19", "on grey27", "on grey35", "on grey42")  # from no agreement to all


def agreement_view(
    report: AgreementReport, models: Mapping[str, str], terms: Terms, warnings: Sequence[str]
) -> RenderableType:
    """Voices, the heat map, and what to beware of."""
    exact = (
        "" if report.exact_share is None else f", {report.exact_matches} ({report.exact_share:.0%}) as exact matches"
    )
    told = [Text.assemble("\n", ("warning: ", "bold yellow"), each) for each in warnings]
    return Group(
        f"{report.instances} instances judged by {terms.rule}, {report.kept} outputs kept{exact}\n",
        _voices(report, models, terms),
        "\nmean Rouge-L, and how often word for word:\n",
        _heat_map(report),
        *told,
    )


def _voices(report: AgreementReport, models: Mapping[str, str], terms: Terms) -> Table:
    numbers = ("outputs", "wins", "win rate", "words", "others' words", "words if chosen")
    rows = table("voice", "model", "family", "weight", numbers=numbers)
    for each in report.voices:
        rows.add_row(
            each.voice,
            models[each.voice],
            terms.families.get(each.voice, ""),
            f"{terms.weights[each.voice]:g}",
            str(each.candidates),
            str(each.wins),
            "" if each.win_rate is None else f"{each.win_rate:.0%}",
            *(_words(value) for value in (each.mean_words, each.others_mean_words, each.mean_words_when_chosen)),
        )
    return rows


def _words(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _heat_map(report: AgreementReport) -> Table:
    voices = [each.voice for each in report.voices]
    pairs = {voices: each for each in report.pairs for voices in (each.voices, each.voices[::-1])}
    rows = table("", numbers=voices)
    for one in voices:
        rows.add_row(one, *(_cell(pairs.get((one, two))) for two in voices))
    return rows


def _cell(pair: PairReport | None) -> Text:
    if pair is None:
        return Text("·", "dim")
    shade = SHADES[min(int(pair.mean_rouge_l * len(SHADES)), len(SHADES) - 1)]
    return Text(f"{pair.mean_rouge_l:.2f} {pair.exact_share:>4.0%}", shade)
