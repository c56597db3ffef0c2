"""What a command says of a judgement's terms, put into those of the run's own."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.errors import UserError
from shared.job import MOST_WEIGHT, NAME_PATTERN
from shared.method.consensus import Rule
from shared.method.terms import Terms


class VoiceSettingError(UserError):
    """{option} {text}: {reason}"""


class TermsRefusedError(UserError):
    """These settings decide nothing: {reason}"""


@dataclass(frozen=True, slots=True)
class NewTerms:
    """What is to differ from the run's own terms; `weights` and `families` are as typed, VOICE=VALUE."""

    rule: Rule | None
    threshold: float | None
    min_candidates: int | None
    weights: Sequence[str]
    families: Sequence[str]

    def over(self, own: Terms) -> Terms:
        """The run's own terms with what differs put in. Raises `VoiceSettingError`, `TermsRefusedError`."""
        families = {**own.families, **dict(_families(self.families, own.weights))}
        terms = replace(
            own,
            rule=self.rule or own.rule,
            threshold=own.threshold if self.threshold is None else self.threshold,
            min_candidates=self.min_candidates or own.min_candidates,
            weights={**own.weights, **dict(_weights(self.weights, own.weights))},
            families={voice: family for voice, family in families.items() if family},
        )
        if reason := _refusal(terms):
            raise TermsRefusedError(reason=reason)
        return terms


def _refusal(terms: Terms) -> str | None:
    voices = len(terms.weights)
    if terms.rule is Rule.NONE:
        return None
    if voices < 2:
        return "the run has no voice besides the instance's own, and a consensus needs two; see --rule none"
    if terms.min_candidates > voices:
        return f"--min-candidates {terms.min_candidates}, and the run has only {voices} voices"
    if terms.one_family:
        return f"every voice is of the family '{terms.one_family}', which has one vote"
    return None


def _weights(texts: Sequence[str], voices: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    for text, voice, value in _by_voice("--weight", "2", texts, voices):
        try:
            weight = float(value)
        except ValueError:
            raise VoiceSettingError(option="--weight", text=text, reason=f"'{value}' is no number") from None
        if not 0 < weight <= MOST_WEIGHT:
            raise VoiceSettingError(
                option="--weight", text=text, reason=f"should be above 0, and {MOST_WEIGHT} at most"
            )
        yield voice, weight


def _families(texts: Sequence[str], voices: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    for text, voice, family in _by_voice("--family", "llama", texts, voices):
        if family and not re.fullmatch(NAME_PATTERN, family):
            reason = "a family's name has lower-case letters, digits, '-' and '_'; leave it out to take the voice out"
            raise VoiceSettingError(option="--family", text=text, reason=reason)
        yield voice, family


def _by_voice(
    option: str, example: str, texts: Sequence[str], voices: Mapping[str, float]
) -> Iterator[tuple[str, str, str]]:
    seen = set()
    for text in texts:
        voice, equals, value = text.partition("=")
        if not equals:
            reason = f"write it as VOICE=VALUE, for example {option} {next(iter(voices))}={example}"
        elif voice not in voices:
            reason = f"the run has no voice '{voice}'; voices: {', '.join(voices)}"
        elif voice in seen:
            reason = f"the voice '{voice}' has a value already"
        else:
            seen.add(voice)
            yield text, voice, value
            continue
        raise VoiceSettingError(option=option, text=text, reason=reason)
