"""What a trainer should know of an export before trusting it: told from its facts alone."""

from collections import Counter
from collections.abc import Iterator

from shared.dataset.card_facts import CardFacts, RunFacts
from shared.dataset.lengths import Lengths
from shared.job import IMPORTED
from shared.method.agreement import Bloc
from shared.method.tasks import TaskType

SHORT = 3  # words
MOSTLY = 0.5  # a voice with more of a run's outputs than this has most of them


def share(part: int, whole: int) -> str:
    """A number and what part of the whole it is."""
    return f"{part} of {whole} ({part / whole:.1%})"


def biases(facts: CardFacts, lengths: dict[str, Lengths]) -> Iterator[str]:
    """Sentences in Markdown, one for each thing to know."""
    examples = sum(group.examples for group in facts.groups)
    types: Counter[TaskType] = Counter()
    for group in facts.groups:
        types[group.task_type] += group.examples
    yield f"{share(types[TaskType.INPUT_OUTPUT], examples)} have an input, the others have none."
    yield from (_voices(facts, run) for run in facts.runs if _of_run(facts, run))
    equal = sum(group.examples for group in facts.groups if group.exact_match)
    yield (
        f"{share(equal, examples)} were chosen because outputs said the same, word for word but for case and "
        "punctuation; short outputs do so more easily than long ones."
    )
    if facts.mean_agreement is not None:
        yield (
            f"An output agrees with the others that it was compared with by {facts.mean_agreement:.2f} on average "
            "(Rouge-L F1, 0 to 1)."
        )
    outputs = lengths["output"]
    yield (
        f"{share(outputs.up_to(SHORT), examples)} have an output of {SHORT} words or fewer; half have "
        f"{outputs.at(0.5)} or fewer."
    )
    begun = ", ".join(f"`{each.word}` {each.examples}" for each in facts.first_words)
    yield f"The words that most instructions begin with: {begun}."
    for run in facts.runs:
        yield from (_look_alikes(run, bloc) for bloc in run.agreement.blocs)
    if facts.models:
        yield (
            "Outputs are what language models agreed on, which need not be right, and no person has corrected them. "
            "What the models were trained on, and leave out, is in here, too."
        )
    if facts.files:
        yield (
            "What was imported is as it stood in its file: who wrote it, and with what in mind, is not known here "
            "beyond the source that was named."
        )


def _of_run(facts: CardFacts, run: RunFacts) -> Counter[str]:
    voices: Counter[str] = Counter()
    for group in facts.groups:
        if group.run == run.run:
            voices[group.voice] += group.examples
    return voices


def _voices(facts: CardFacts, run: RunFacts) -> str:
    voices = _of_run(facts, run)
    models, total = run.job.voices, voices.total()
    told = ", ".join(f"`{voice}` {share(count, total)}" for voice, count in _most_first(voices))
    (first, most), *_ = _most_first(voices)
    by = "an imported file" if models[first] == IMPORTED else f"the model `{models[first]}`"
    mostly = f" Most of them are by one voice, `{first}`, {by}." if most > MOSTLY * total else ""
    return f"Who wrote the outputs from `{run.run}`: {told}.{mostly}"


def _most_first(voices: Counter[str]) -> list[tuple[str, int]]:
    return sorted(voices.items(), key=lambda each: (-each[1], each[0]))


def _look_alikes(run: RunFacts, bloc: Bloc) -> str:
    one, two = bloc.voices
    return (
        f"In `{run.run}` the voices `{one}` and `{two}` answer alike (Rouge-L {bloc.rouge_l_inside:.2f} with each "
        f"other, {bloc.rouge_l_outside:.2f} with the others) and won {share(bloc.wins, bloc.instances)} of the "
        f"decisions that both had part in, where {bloc.even_share:.1%} would be an even share. With outputs of "
        f"{bloc.words:.1f} words on average against {bloc.others_words:.1f}, they may have won because they are akin, "
        "not because they are right."
    )
