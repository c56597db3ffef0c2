"""Who wins a run's judgements, and who agrees with whom: what shows whether the consensus favours somebody.

Voices that are alike agree because they are alike, and so may outvote the others whatever these say. In the sample
that the paper's authors published, two look-alike LMs outvoted the generator in 89 of 105 cases, with answers nine
times shorter.

Lengths are in words as Rouge-L counts them. Memory stays the same however many judgements are added.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import sqrt

from shared.method.consensus import Rule, comparable
from shared.method.rouge import words
from shared.method.terms import Terms

LEAST_INSTANCES = 20  # fewer say nothing of look-alikes
LOOK_ALIKE = 1.5  # times as much agreement with each other as with the others
STANDARD_ERRORS = 2.0  # by how much a share of wins must exceed the even one


@dataclass(frozen=True, slots=True)
class Judged:
    """One judgement: the voices that were compared, their outputs and scores in one order, whose was kept."""

    voices: Sequence[str]
    outputs: Sequence[str]
    scores: Sequence[Sequence[float]]
    choice: int | None
    exact_match: bool


@dataclass(frozen=True, slots=True)
class VoiceReport:
    """One voice. `win_rate` is of the instances that kept an output and had one of this voice to choose from.

    `others_mean_words` is over the other outputs of the same instances.
    """

    voice: str
    candidates: int
    wins: int
    win_rate: float | None
    mean_words: float | None
    others_mean_words: float | None
    mean_words_when_chosen: float | None


@dataclass(frozen=True, slots=True)
class PairReport:
    """How much two voices agree on the `instances` that both answered: Rouge-L F1, and word for word."""

    voices: tuple[str, str]
    instances: int
    mean_rouge_l: float
    exact_share: float


@dataclass(frozen=True, slots=True)
class Bloc:
    """Two voices that answer alike and win more often than two of their number would by an even share.

    `instances` kept an output, and had one of both voices and of another. `rouge_l_inside` is the pair's own,
    `rouge_l_outside` that of each with the others. `words` are of the outputs with which the pair won,
    `others_words` of those that it won against, on average.
    """

    voices: tuple[str, str]
    instances: int
    wins: int
    even_share: float
    rouge_l_inside: float
    rouge_l_outside: float
    words: float
    others_words: float


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """Everything about a run's judgements that may show a bias; `exact_matches` of the `kept` decided by equality."""

    instances: int
    kept: int
    exact_matches: int
    voices: tuple[VoiceReport, ...]
    pairs: tuple[PairReport, ...]
    blocs: tuple[Bloc, ...]

    @property
    def exact_share(self) -> float | None:
        """The part of the kept outputs that was chosen as an exact match."""
        return _mean(self.exact_matches, self.kept)


@dataclass(slots=True)
class _Voice:
    candidates: int = 0
    words: int = 0
    others: int = 0
    others_words: int = 0
    chances: int = 0
    wins: int = 0
    words_chosen: int = 0

    def report(self, voice: str) -> VoiceReport:
        return VoiceReport(
            voice=voice,
            candidates=self.candidates,
            wins=self.wins,
            win_rate=_mean(self.wins, self.chances),
            mean_words=_mean(self.words, self.candidates),
            others_mean_words=_mean(self.others_words, self.others),
            mean_words_when_chosen=_mean(self.words_chosen, self.wins),
        )


@dataclass(slots=True)
class _Pair:
    together: int = 0
    rouge_l: float = 0.0
    equal: int = 0
    contests: int = 0
    even: float = 0.0
    inside: float = 0.0
    outside: float = 0.0
    wins: int = 0
    words_won: int = 0
    others_words: float = 0.0

    def report(self, voices: tuple[str, str]) -> PairReport:
        return PairReport(voices, self.together, self.rouge_l / self.together, self.equal / self.together)

    def outvotes(self) -> bool:
        if self.contests < LEAST_INSTANCES or self.inside <= LOOK_ALIKE * self.outside:
            return False
        even, share = self.even / self.contests, self.wins / self.contests
        return share - even > STANDARD_ERRORS * sqrt(even * (1 - even) / self.contests)

    def bloc(self, voices: tuple[str, str]) -> Bloc:
        return Bloc(
            voices=voices,
            instances=self.contests,
            wins=self.wins,
            even_share=self.even / self.contests,
            rouge_l_inside=self.inside / self.contests,
            rouge_l_outside=self.outside / self.contests,
            words=self.words_won / self.wins,
            others_words=self.others_words / self.wins,
        )


@dataclass(slots=True)
class Agreement:
    """The sums over what was judged by some terms, for the run's `voices` in their order."""

    voices: Sequence[str]
    terms: Terms
    _instances: int = 0
    _kept: int = 0
    _exact: int = 0
    _by_voice: dict[str, _Voice] = field(default_factory=dict)
    _by_pair: dict[tuple[str, str], _Pair] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_voice = {voice: _Voice() for voice in self.voices}
        self._by_pair = {pair: _Pair() for pair in combinations(self.voices, 2)}

    def add(self, judged: Judged) -> None:
        """Count one judgement."""
        lengths = [len(words(output)) for output in judged.outputs]
        self._instances += 1
        self._kept += judged.choice is not None
        self._exact += judged.choice is not None and judged.exact_match
        self._add_voices(judged, lengths)
        self._add_pairs(judged, lengths)

    def _add_voices(self, judged: Judged, lengths: Sequence[int]) -> None:
        for place, voice in enumerate(judged.voices):
            sums = self._by_voice[voice]
            sums.candidates += 1
            sums.words += lengths[place]
            sums.others += len(lengths) - 1
            sums.others_words += sum(lengths) - lengths[place]
            sums.chances += judged.choice is not None
            if judged.choice == place:
                sums.wins += 1
                sums.words_chosen += lengths[place]

    def _add_pairs(self, judged: Judged, lengths: Sequence[int]) -> None:
        forms = [comparable(output) for output in judged.outputs]
        for i, j in combinations(range(len(judged.voices)), 2):
            sums = self._by_pair[judged.voices[i], judged.voices[j]]
            sums.together += 1
            sums.rouge_l += judged.scores[i][j]
            sums.equal += forms[i] == forms[j]
            if judged.choice is not None and len(lengths) > 2:
                _add_contest(sums, judged, lengths, (i, j))

    def report(self) -> AgreementReport:
        """What the sums say; blocs that win the most beyond an even share come first."""
        pairs = {pair: sums for pair, sums in self._by_pair.items() if sums.together}
        blocs = [sums.bloc(pair) for pair, sums in pairs.items() if self._votes_twice(pair) and sums.outvotes()]
        return AgreementReport(
            instances=self._instances,
            kept=self._kept,
            exact_matches=self._exact,
            voices=tuple(sums.report(voice) for voice, sums in self._by_voice.items()),
            pairs=tuple(sums.report(pair) for pair, sums in pairs.items()),
            blocs=tuple(sorted(blocs, key=lambda bloc: bloc.even_share - bloc.wins / bloc.instances)),
        )

    def _votes_twice(self, pair: tuple[str, str]) -> bool:
        """Whether there are votes at all, and two voices have not one together already."""
        first, second = (self.terms.families.get(voice) for voice in pair)
        return self.terms.rule is not Rule.NONE and (first is None or first != second)


def _add_contest(sums: _Pair, judged: Judged, lengths: Sequence[int], pair: tuple[int, int]) -> None:
    """Count a judgement in which a pair stood against others."""
    others = [place for place in range(len(lengths)) if place not in pair]
    sums.contests += 1
    sums.even += 2 / len(lengths)
    sums.inside += judged.scores[pair[0]][pair[1]]
    sums.outside += sum(judged.scores[i][j] for i in pair for j in others) / (2 * len(others))
    if judged.choice in pair:
        sums.wins += 1
        sums.words_won += lengths[judged.choice]
        sums.others_words += sum(lengths[place] for place in others) / len(others)


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None
