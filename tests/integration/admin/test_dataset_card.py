"""The dataset card: each of its numbers is counted again, by somebody who may read the schema `lineage` and no more."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from huggingface_hub import DatasetCard

from tests.integration.admin.card_reading import Table, picture_texts, sections, sentences, tables
from tests.integration.admin.command_line import CommandLine
from tests.integration.admin.conftest import Finished
from tests.integration.admin.export_reading import VIEWS, Reader


@pytest.fixture
def folder(changing_command: CommandLine, changeable: Finished, tmp_path: Path) -> Path:
    """An export with splits, in two formats, of examples of which one is left out."""
    with psycopg.connect(changeable.database_url) as connection:
        connection.execute("UPDATE models SET licence = CASE name WHEN 'base' THEN 'Apache-2.0' ELSE 'MIT' END")
    options = ("--split", "train=0.6,test=0.4", "--limit", 4, "--where", "length(output) > 0")
    changing_command("export", changeable.name, "--format", "jsonl", "--format", "messages", *options, "--out", "data")
    return tmp_path / "data"


@pytest.fixture
def reader(folder: Path, changeable: Finished) -> Any:
    """After the export."""
    with psycopg.connect(changeable.database_url) as connection:
        connection.execute("SET ROLE dataset_reader")
        connection.execute(VIEWS.encode())
        yield Reader(connection)


@pytest.fixture
def card(folder: Path) -> dict[str, str]:
    """The card's sections."""
    return sections(folder)


def same(told: Table, counted: Table) -> bool:
    """Whether two tables have the same rows, in whatever order."""
    return Counter(tuple(row.items()) for row in told) == Counter(tuple(row.items()) for row in counted)


def test_examples(card: dict[str, str], reader: Reader, folder: Path) -> None:
    (told,) = tables(card["Examples"])
    counted = reader.table(
        """
        SELECT run, judgement, split, task_type AS "task type", count(*) AS examples FROM exported GROUP BY 1, 2, 3, 4
        """
    )
    assert same(told, counted)
    rows = reader.one("SELECT rows FROM lineage.exports")
    models = reader.one("SELECT count(DISTINCT coalesce(served_model, model)) FROM calls")
    intro = (folder / "README.md").read_text().partition("## ")[0]
    assert re.findall(r"^(\d+) instructions with their outputs, made by (\d+) language model", intro, re.M) == [
        (str(rows), str(models))
    ]


def test_files(card: dict[str, str], reader: Reader) -> None:
    (told,) = tables(card["Loading"])
    counted = reader.table(
        """
        SELECT f.path AS file, f.format, f.split, f.rows AS examples FROM lineage.exports x
        CROSS JOIN LATERAL jsonb_to_recordset(x.files) AS f (path text, format text, split text, rows bigint)
        WHERE f.format IS NOT NULL
        """
    )
    assert same(told, counted)


def test_models(card: dict[str, str], reader: Reader) -> None:
    (told,) = tables(card["Models"])
    counted = reader.table(
        """
        SELECT m.run, m.model, m.kind, m.licence, s.served_model AS "served as",
          coalesce(s.model_revision, 'not told') AS revision, coalesce(s.server_version, 'not told') AS server,
          count(DISTINCT x.example_id) AS examples
        FROM lineage.export_rows x CROSS JOIN LATERAL lineage.ancestors('example', x.example_id) a
        JOIN lineage.models m ON m.id = a.ancestor_id JOIN lineage.servers s ON s.model_id = m.id
        WHERE a.ancestor_kind = 'model' GROUP BY 1, 2, 3, 4, 5, 6, 7
        """
    )
    assert same(told, counted)
    assert {row["licence"] for row in told} == {"Apache-2.0", "MIT"}


def test_calls(card: dict[str, str], reader: Reader) -> None:
    calls, templates, totals = tables(card["LM calls"])
    counted = reader.rows(
        """
        SELECT run, stage, task_type, model, concat(template, '` v', template_version), parameters, count(*)
        FROM calls GROUP BY 1, 2, 3, 4, 5, 6
        """
    )
    keys = ("run", "step", "task type", "model", "template", "sampling", "calls")
    told = [(*row[:5], sampling(row[5]), str(row[6])) for row in counted]
    assert same(calls, [dict(zip(keys, row, strict=True)) for row in told])
    counted_templates = reader.table(
        'SELECT DISTINCT template, template_version AS version, template_sha256 AS "SHA-256" FROM calls'
    )
    assert same(templates, counted_templates)
    counted_totals = reader.table(
        """
        SELECT run, count(*) AS "LM calls in all", sum(prompt_tokens) AS "tokens read",
          sum(completion_tokens) AS "tokens written" FROM lineage.generations GROUP BY 1
        """
    )
    assert same(totals, counted_totals)


def sampling(parameters: dict[str, Any]) -> str:
    last = parameters.pop("stop")
    told = [f"{name} {json.dumps(value)}" for name, value in sorted(parameters.items())]
    return ", ".join([*told, f"stop {json.dumps(last)}"])


def test_consensus(card: dict[str, str], reader: Reader) -> None:
    (told,) = tables(card["Consensus"])
    query = """
        SELECT j.run, j.judgement, j.rule, j.threshold, j.min_candidates AS "fewest outputs",
          r.job -> 'instructions' -> 'novelty_threshold' AS "novelty threshold",
          (SELECT string_agg(key || ' ' || value, ', ') FROM jsonb_each(j.weights)) AS weights, '' AS families
        FROM lineage.judgements j JOIN lineage.runs r ON r.id = j.run_id WHERE j.judgement = 0
    """
    assert told == reader.table(query)


def test_the_funnel_with_every_reason(card: dict[str, str], reader: Reader) -> None:
    (told,) = tables(card["From proposals to examples"])
    counted = reader.table(
        """
        SELECT step, kind AS records, task_type AS "task type", state, reason, records AS number
        FROM lineage.funnel WHERE judgement = 0
        """
    )
    assert same(told, counted)
    reasons = reader.table("SELECT reason, count(*) FROM lineage.rejections WHERE judgement = 0 GROUP BY 1")
    rejected: Counter[str] = Counter()
    for row in told:
        if row["state"] == "rejected":
            rejected[row["reason"]] += int(row["number"])
    assert {row["reason"]: int(row["count"]) for row in reasons} == dict(rejected)


def test_what_was_left_out(card: dict[str, str], reader: Reader) -> None:
    (told,) = tables(card["What this export leaves out"])
    query = 'SELECT reason, count(*) AS "examples left out" FROM lineage.export_exclusions GROUP BY 1'
    assert told == reader.table(query)
    assert told == [{"reason": "limit", "examples left out": "1"}]
    asked = reader.one("SELECT options FROM lineage.exports")
    assert sentences(card["What this export leaves out"]) == [
        f"`--where`: `{asked['where']}`",
        f"`--limit`: `{asked['limit']}`",
        "`--split`: `train=0.6,test=0.4`",
    ]


def test_lengths(card: dict[str, str], reader: Reader, folder: Path) -> None:
    (told,) = tables(card["Lengths"])
    counted = reader.table(
        """
        SELECT part AS text, count(*) AS texts, round(avg(words), 1) AS mean,
          percentile_disc(0.5) WITHIN GROUP (ORDER BY words) AS "half have at most",
          percentile_disc(0.95) WITHIN GROUP (ORDER BY words) AS "95 of 100 have at most", max(words) AS longest
        FROM texts GROUP BY 1
        """
    )
    assert same(told, counted)
    bins = reader.rows(
        "SELECT width_bucket(words, ARRAY[1, 2, 4, 8, 16, 32, 64, 128]), part, count(*) FROM texts GROUP BY 1, 2"
    )
    counts = {(place, part): count for place, part, count in bins}
    places = range(min(place for place, _ in counts), max(place for place, _ in counts) + 1)
    bars = [counts.get((place, part), 0) for place in places for part in ("instruction", "input", "output")]
    labels = ["1", "2 to 3", "4 to 7", "8 to 15", "16 to 31", "32 to 63", "64 to 127"]
    drawn = [text for text in picture_texts(folder / "lengths.svg") if text[0].isdigit()]
    expected = [labels[place - 1] for place in places]
    for text in expected:
        drawn.remove(text)
    assert drawn == [str(count) for count in bars]
    (description,) = re.findall(r"!\[(.*)\]", card["Lengths"])
    for (place, part), count in counts.items():
        assert f"{labels[place - 1]}: {count}" in description.partition(f"{part}s: ")[2].partition(";")[0]


def share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.1%})"


def test_known_biases(card: dict[str, str], reader: Reader) -> None:
    told = sentences(card["Known biases"])
    ((count, with_input, equal, agreement),) = reader.rows(
        """
        SELECT count(*), count(*) FILTER (WHERE task_type = 'input_output'), count(*) FILTER (WHERE exact_match),
          avg(agreement) FROM exported
        """
    )
    ((short, median),) = reader.rows(
        """
        SELECT count(*) FILTER (WHERE words <= 3), percentile_disc(0.5) WITHIN GROUP (ORDER BY words)
        FROM texts WHERE part = 'output'
        """
    )
    voices = reader.rows(
        'SELECT chosen_voice, count(*) FROM exported GROUP BY 1 ORDER BY 2 DESC, chosen_voice COLLATE "C"'
    )
    begun = reader.rows(
        r"""
        SELECT word, count(*) FROM (SELECT lower((regexp_match(instruction, '\w+'))[1]) AS word FROM exported) w
        GROUP BY 1 ORDER BY 2 DESC, word COLLATE "C" LIMIT 10
        """
    )
    by = ", ".join(f"`{voice}` {share(won, count)}" for voice, won in voices)
    mostly = f" Most of them are by one voice, `{voices[0][0]}`, the model `base`." if voices[0][1] * 2 > count else ""
    assert told[:6] == [
        f"{share(with_input, count)} have an input, the others have none.",
        f"Who wrote the outputs from `small-1`: {by}.{mostly}",
        f"{share(equal, count)} were chosen because outputs said the same, word for word but for case and punctuation; "
        "short outputs do so more easily than long ones.",
        f"An output agrees with the others that it was compared with by {agreement:.2f} on average (Rouge-L F1, 0 to "
        "1).",
        f"{share(short, count)} have an output of 3 words or fewer; half have {median} or fewer.",
        f"The words that most instructions begin with: {', '.join(f'`{word}` {n}' for word, n in begun)}.",
    ]
    assert not re.search(r"\d", " ".join(told[6:]))


def test_the_picture_of_the_agreement(reader: Reader, folder: Path, card: dict[str, str]) -> None:
    pairs = reader.rows(
        """
        SELECT a.voice, b.voice, avg(CAST(v.scores -> (array_position(v.candidate_ids, a.id) - 1)
            ->> (array_position(v.candidate_ids, b.id) - 1) AS float)),
          avg(CASE WHEN lineage.comparable(a.output) = lineage.comparable(b.output) THEN 1.0 ELSE 0 END)
        FROM lineage.verdicts v JOIN lineage.candidates a ON a.id = ANY (v.candidate_ids)
        JOIN lineage.candidates b ON b.id = ANY (v.candidate_ids) AND b.id <> a.id GROUP BY 1, 2
        """
    )
    wins = reader.rows(
        """
        SELECT c.voice, count(*) FILTER (WHERE v.choice_id = c.id), count(*) FILTER (WHERE v.choice_id IS NOT NULL),
          avg(words), avg(words) FILTER (WHERE v.choice_id = c.id), (sum(together) - sum(words)) / sum(others)
        FROM (
          SELECT v.id, c.id AS candidate_id, regexp_count(lower(c.output), '[a-z0-9]+') AS words,
            sum(regexp_count(lower(c.output), '[a-z0-9]+')) OVER (PARTITION BY v.id) AS together,
            count(*) OVER (PARTITION BY v.id) - 1 AS others
          FROM lineage.verdicts v JOIN lineage.candidates c ON c.id = ANY (v.candidate_ids)
        ) w JOIN lineage.verdicts v ON v.id = w.id JOIN lineage.candidates c ON c.id = w.candidate_id GROUP BY 1
        """
    )
    ((judged, kept, exact),) = reader.rows(
        "SELECT count(*), count(choice_id), count(*) FILTER (WHERE choice_id IS NOT NULL AND exact_match) "
        "FROM lineage.verdicts"
    )
    drawn = picture_texts(folder / "agreement.svg")
    assert f"{judged} instances judged, {kept} outputs kept, {exact / kept:.0%} of these as exact matches" in drawn
    figures = Counter(text for text in drawn if re.fullmatch(r"[\d.]+|\d+% equal|\d+% \(\d+\)|none", text))
    expected = Counter(f"{rouge_l:.2f}" for *_, rouge_l, _ in pairs) + Counter(
        f"{each:.0%} equal" for *_, each in pairs
    )
    for _, won, chances, *words in wins:
        expected[f"{won / chances:.0%} ({won})"] += 1
        expected.update("none" if each is None else f"{float(each):.1f}" for each in words)
    assert figures == expected
    (description,) = re.findall(r"!\[(.*)\]", card["Agreement"])
    for one, two, rouge_l, _ in pairs:
        assert f"{one} and {two} agree by {rouge_l:.2f}" in description or f"{two} and {one} agree" in description
    for voice, won, _, words, *_ in wins:
        assert f"{voice} won {won} with {float(words):.1f} words" in description


def test_the_job_is_there_without_what_is_nobodys_business(card: dict[str, str], reader: Reader, folder: Path) -> None:
    (written,) = re.findall(r"```yaml\n(.*?)```", card["Jobs"], re.DOTALL)
    told, kept = yaml.safe_load(written), reader.one("SELECT job FROM lineage.runs")
    assert told["targets"] == kept["targets"]
    assert told["instructions"]["demonstrations"] == kept["instructions"]["demonstrations"]
    assert told["models"]["base"] == {"protocol": "openai", "kind": "vanilla"}
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"127.0.0.1" not in everything
    assert reader.one("SELECT fingerprint FROM lineage.runs") in card["Jobs"]


def test_the_licence_follows_from_the_models(card: dict[str, str], folder: Path) -> None:
    metadata = DatasetCard.load(folder / "README.md").data
    assert (metadata.license, metadata["license_name"]) == ("other", "apache-2.0-and-mit")
    assert "different licences: `apache-2.0`, `mit`" in card["Licence"]


def test_the_metadata_say_what_the_hub_wants_to_know(folder: Path) -> None:
    metadata = DatasetCard.load(folder / "README.md").data
    assert metadata.size_categories == ["n<1K"]
    assert metadata.pretty_name == "small-1"
    assert [each["config_name"] for each in metadata["configs"]] == ["default", "messages"]


def test_its_identity_is_that_of_the_record(card: dict[str, str], reader: Reader) -> None:
    ((id, fingerprint),) = reader.rows("SELECT CAST(id AS text), fingerprint FROM lineage.exports")
    assert f"Export `{id}` of ensemble-instruct" in card["Where each example came from"]
    assert f"fingerprint `{fingerprint}`" in card["Where each example came from"]


def test_a_run_that_goes_on_leaves_the_card_of_an_earlier_export_as_it_was(
    folder: Path, changing_command: CommandLine, changeable: Finished, tmp_path: Path
) -> None:
    with psycopg.connect(changeable.database_url) as connection:
        connection.execute("UPDATE runs SET state = 'paused', job = jsonb_set(job, '{share}', '3')")
        connection.execute("UPDATE judgements SET weights = weights || '{\"later\": 2.0}'")
        connection.execute(
            "UPDATE record_totals SET records = records + 7 WHERE kind = 'instruction' AND state = 'rejected'"
        )
        ((id,),) = connection.execute("SELECT CAST(id AS text) FROM exports").fetchall()
        connection.commit()
    outcome = changing_command("export", "--as-of", id, "--out", "again")
    assert outcome.code == 0, outcome.err
    contents = [
        {str(path.relative_to(each)): path.read_bytes() for path in each.rglob("*") if path.is_file()}
        for each in (folder, tmp_path / "again")
    ]
    assert contents[0] == contents[1]


def test_without_a_card_there_are_data_alone(changing_command: CommandLine, changeable: Finished) -> None:
    changing_command("export", changeable.name, "--no-card", "--no-provenance", "--out", "bare")
    assert [path.name for path in Path("bare").iterdir()] == ["examples.jsonl"]


def test_what_was_asked_for_beside_the_data_is_not_asked_for_again(
    later_command: CommandLine, finished: Finished
) -> None:
    for flag in ("--card", "--no-card", "--provenance", "--no-provenance", "--prov"):
        told = later_command.refused(2, "export", "--as-of", "abcdef12", flag)
        assert f"{flag} has no place beside it" in told
