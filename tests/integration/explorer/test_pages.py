"""What the pages tell is what the schema `lineage` holds."""

import html
import json
import re
from typing import Any

import pytest

from services.explorer.pages import examples, rejections
from tests.integration.explorer.browsing import Page, Site
from tests.integration.explorer.conftest import ARABIC, LONG, MARKUP, Shown

EXAMPLES = "/runs/small-1/examples"


def ids(page: Page) -> list[str]:
    """The examples that a page lists, in its order."""
    return [each["href"].removeprefix("/examples/") for each in page.all("a") if each["href"].startswith("/examples/")]


def in_order(shown: Shown, condition: str = "NOT surplus") -> list[str]:
    """The examples of the run's own judgement."""
    rows = shown.rows(
        f"SELECT id FROM lineage.examples WHERE run = 'small-1' AND judgement = 0 AND {condition} "  # noqa: S608 - our words
        "ORDER BY task_type, position"
    )
    return [str(id) for (id,) in rows]


def leads(page: Page, text: str) -> str | None:
    """Where a link of this text leads."""
    found = re.search(rf'<a [^>]*href="([^"]+)"[^>]*>{text}</a>', page.body)
    return found[1].replace("&amp;", "&") if found else None


def test_the_list_has_every_run_with_its_state_examples_and_models(site: Site) -> None:
    page = site.get("/")
    assert page.within("tbody").count("base, chat") == 2
    assert re.search(r"later-1 running input → output 0 of 3 output only 0 of 2", page.text)
    assert re.search(r"small-1 completed input → output 3 of 3 output only 2 of 2", page.text)
    assert page.text.index("later-1") < page.text.index("small-1")


def test_runs_come_in_pages(site: Site, shown: Shown) -> None:
    ((at, id),) = shown.rows("SELECT created_at, id FROM lineage.runs WHERE run = 'later-1'")
    page = site.get(f"/?before={at.isoformat().replace('+', '%2B')}/{id}")  # type: ignore[attr-defined]  # a time
    assert "later-1" not in page.text
    assert "small-1" in page.text


def test_a_runs_page_counts_what_the_totals_count(site: Site, shown: Shown) -> None:
    page = site.get("/runs/small-1")
    funnel = shown.rows(
        "SELECT kind, coalesce(sum(records) FILTER (WHERE state IN ('answered', 'accepted', 'wanted')), 0),"
        " coalesce(sum(records) FILTER (WHERE state NOT IN ('answered', 'accepted', 'wanted')), 0)"
        " FROM lineage.funnel WHERE run = 'small-1' AND judgement = 0 AND task_type = 'input_output' GROUP BY 1"
    )
    for kind, kept, left_out in funnel:
        assert f"{kind}s {kept} {left_out} " in page.text
    usage = shown.rows(
        "SELECT model, stage, sum(calls), coalesce(sum(calls) FILTER (WHERE fault IS NOT NULL), 0),"
        " sum(latency_s) / sum(calls), sum(prompt_tokens), sum(completion_tokens)"
        " FROM lineage.usage WHERE run = 'small-1' GROUP BY model, stage"
    )
    for model, stage, calls, failed, seconds, read, written in usage:
        assert f"{model} {stage} {calls} {failed} {seconds:.2f} {read:,} {written:,}" in page.text


def test_an_imported_run_leads_to_its_files_and_they_to_its_records(site: Site, shown: Shown) -> None:
    assert re.search(r"elsewhere completed .* <b>mine\.jsonl, theirs\.jsonl", site.get("/").text)
    page = site.get("/runs/elsewhere")
    markup = " ".join(MARKUP.split())
    assert f"<b>mine.jsonl instance 2 {markup} mit theirs.jsonl theirs 2 {markup} mit" in page.text
    ((file, origin),) = shown.rows("SELECT file_id, id FROM lineage.origins WHERE line = 1 AND file <> 'theirs.jsonl'")
    assert leads(page, '<span class="line" dir="auto">&lt;b&gt;mine.jsonl</span>') == f"/records/origin_file/{file}"
    assert f"/records/origin/{origin}" in site.get(f"/records/origin_file/{file}").links("/")
    record = site.get(f"/records/origin/{origin}")
    assert json.dumps(MARKUP) in html.unescape(record.body)
    assert "It holds 1 instruction " in record.text


def test_an_imported_examples_tree_reaches_the_line_it_stood_in(site: Site, shown: Shown) -> None:
    ((id,),) = shown.rows("SELECT id FROM lineage.examples WHERE run = 'elsewhere' AND task_type = 'input_output'")
    page = site.get(f"/examples/{id}")
    assert "imported from origin" in page.text
    assert "line 1 of <b>mine.jsonl: Sort the words." in page.text
    assert page.all("script", "b") == []


def test_a_run_that_goes_on_can_be_followed(site: Site) -> None:
    assert site.get("/runs/later-1").all("meta")[-1].get("http-equiv") is None
    assert {"http-equiv": "refresh", "content": "5"} in site.get("/runs/later-1?follow=1").all("meta")
    assert {"http-equiv": "refresh", "content": "5"} not in site.get("/runs/small-1?follow=1").all("meta")


def test_a_run_has_a_page_by_its_id_too(site: Site, shown: Shown) -> None:
    ((id,),) = shown.rows("SELECT id FROM lineage.runs WHERE run = 'small-1'")
    assert site.get(f"/runs/{id}").within("h1").startswith("small-1")


def test_examples_stand_in_the_runs_order_page_by_page_and_back(
    site: Site, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "EXAMPLES_ON_A_PAGE", 2)
    wanted, found, address = in_order(shown), [], EXAMPLES
    while True:
        page = site.get(address)
        found.append(ids(page))
        further = leads(page, "Next")
        if not further:
            break
        address = further
    assert [id for each in found for id in each] == wanted
    before = leads(page, "Previous")
    assert before
    assert ids(site.get(before)) == found[-2]
    assert leads(site.get(EXAMPLES), "Previous") is None


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("type=output_only", "task_type = 'output_only' AND NOT surplus"),
        ("kept=all", "true"),
        ("kept=surplus", "surplus"),
        ("voice=instance", "chosen_voice = 'instance' AND NOT surplus"),
        ("voice=chat", "chosen_voice = 'chat' AND NOT surplus"),
        ("voice=nobody", "false"),
        ("q=ALERT%28", "output LIKE '%%alert(%%'"),
        ("q=25", "instruction || output LIKE '%%25%%' AND NOT surplus"),
        ("q=%25", "instruction || output LIKE '%%\\%%%%' AND NOT surplus"),
        ("q=_", "instruction || output LIKE '%%\\_%%' AND NOT surplus"),
        ("q=line+by&type=input_output", "output LIKE '%%line by%%' AND task_type = 'input_output'"),
        ("kept=retracted", "false"),
    ],
)
def test_examples_are_chosen_by_what_is_asked_for(site: Site, shown: Shown, query: str, condition: str) -> None:
    page = site.get(f"{EXAMPLES}?{query}")
    assert ids(page) == in_order(shown, condition)
    assert ("No example fits" in page.text) == (ids(page) == [])


def test_a_form_says_what_was_asked_for(site: Site) -> None:
    page = site.get(f"{EXAMPLES}?q=%22%3E%3Cb%3E&type=output_only&voice=chat")
    assert [each["value"] for each in page.all("input") if each["id"] == "q"] == ['"><b>']
    chosen = [each.get("value") for each in page.all("option") if "selected" in each]
    assert chosen == ["output_only", None, "wanted", "0"]
    assert page.all("b") == []


def test_each_judgement_has_examples_of_its_own(site: Site, shown: Shown) -> None:
    rows = shown.rows(
        "SELECT id FROM lineage.examples WHERE run = 'small-1' AND judgement = 1 AND NOT surplus"
        " ORDER BY task_type, position"
    )
    page = site.get(f"{EXAMPLES}?judgement=1")
    assert ids(page) == [str(id) for (id,) in rows]
    assert "majority" in site.get("/runs/small-1?judgement=1").text


def test_an_example_shows_every_output_its_scores_and_why_one_was_chosen(site: Site, shown: Shown) -> None:
    id = next(id for id in in_order(shown) if id not in map(str, shown.odd.values()))
    page = site.get(f"/examples/{id}")
    outputs = shown.rows(
        "SELECT c.id, c.voice, c.output, v.scores, v.candidate_ids FROM lineage.examples e"
        " JOIN lineage.candidates c USING (instance_id) JOIN lineage.verdicts v ON v.id = e.verdict_id"
        " WHERE e.id = %(id)s ORDER BY c.number",
        id=id,
    )
    assert len(outputs) == 3
    rows: list[tuple[Any, ...]] = outputs
    for candidate, voice, output, scores, compared in rows:
        place = compared.index(candidate)
        total = sum(score for column, score in enumerate(scores[place]) if column != place)
        assert re.search(rf"{voice}( chosen)? {re.escape(' '.join(output.split()))} Rouge-L", page.text)
        assert f"summed: {total:.2f}" in page.text
    ((chosen, exact),) = shown.rows("SELECT chosen_voice, exact_match FROM lineage.examples WHERE id = %(id)s", id=id)
    told = "It is word for word like another" if exact else "It is most alike the others"
    assert f"{chosen} was chosen. {told}" in page.text


def test_an_examples_tree_reaches_models_templates_and_seeds(site: Site, shown: Shown) -> None:
    (first, *_) = in_order(shown)
    tree = [each["href"] for each in site.get(f"/examples/{first}").all("a") if each["href"].startswith("/records/")]
    kinds = {href.split("/")[2] for href in tree}
    assert kinds >= {"verdict", "candidate", "instance", "instruction", "generation"}
    assert kinds >= {"model", "server", "prompt_template", "seed_task"}


def test_what_lms_wrote_stands_as_text(site: Site, shown: Shown) -> None:
    page = site.get(f"/examples/{shown.odd['markup']}")
    assert " ".join(MARKUP.split()) in page.text
    assert page.all("script", "b") == []
    assert page.status == 200


def test_a_text_turns_as_it_is_written_and_turns_nothing_else(site: Site, shown: Shown) -> None:
    page = site.get(f"/examples/{shown.odd['arabic']}")
    assert f'<div class="text" dir="auto">{ARABIC}</div>' in page.body
    style = site.get("/explorer.css").body
    assert re.search(r"\.text \{[^}]*unicode-bidi: isolate", style)
    assert re.search(r"\.line \{[^}]*unicode-bidi: isolate", style)


def test_a_long_text_is_folded_and_whole(site: Site, shown: Shown) -> None:
    page = site.get(f"/examples/{shown.odd['long']}")
    assert f"all {len(LONG):,} characters" in page.text
    assert LONG in page.body
    assert len(site.get(EXAMPLES).body) < 30_000


def test_a_generation_shows_the_call(site: Site, shown: Shown) -> None:
    ((id, prompt, response, read, written),) = shown.rows(
        "SELECT id, prompt, response, prompt_tokens, completion_tokens FROM lineage.generations"
        " WHERE run = 'small-1' AND response <> '' ORDER BY id LIMIT 1"
    )
    page = site.get(f"/records/generation/{id}")
    for content in (prompt, response):
        assert " ".join(str(content).split()) in page.text
    assert f"Prompt tokens {read}" in page.text
    assert f"Completion tokens {written}" in page.text
    assert re.search(r"Parameters .*max new tokens \d+ .*Seed \d+ Finish reason stop", page.text)


def test_an_instruction_shows_what_it_was_most_similar_to_and_what_came_of_it(site: Site, shown: Shown) -> None:
    ((id, similar),) = shown.rows(
        "SELECT i.id, i.most_similar FROM lineage.instructions i JOIN lineage.generations g"
        " ON i.id = ANY (g.instruction_ids) WHERE i.run = 'small-1' ORDER BY i.position LIMIT 1"
    )
    page = site.get(f"/records/instruction/{id}")
    rows: Any = similar
    for match in rows:
        assert f"{match['score']:.3f}" in page.text
        assert match["id"] in page.body
    counts = shown.rows(
        "SELECT (SELECT count(*) FROM lineage.generations WHERE instruction_ids @> ARRAY[%(id)s::uuid]),"
        " (SELECT count(*) FROM lineage.examples WHERE instruction_id = %(id)s)",
        id=id,
    )
    ((shown_in, became),) = counts
    assert f"It was shown in the prompts of {shown_in} generation" in page.text
    assert (f"It became {became} example" in page.text) == bool(became)


def test_an_id_or_its_beginning_leads_to_its_record(site: Site, shown: Shown) -> None:
    ((seed,),) = shown.rows("SELECT id FROM lineage.seed_tasks ORDER BY id LIMIT 1")
    (first, *_) = in_order(shown)
    assert site.get(f"/records?id={str(seed)[:12]}").headers["location"] == f"/records/seed_task/{seed}"
    assert site.get(f"/records?id={first}").headers["location"] == f"/examples/{first}"
    assert site.get(f"/examples/{str(first)[:8]}").headers["location"] == f"/examples/{first}"
    assert site.get(f"/records/seed_task/{str(seed)[:12]}").headers["location"] == f"/records/seed_task/{seed}"
    assert site.get(f"/records/example/{first}").headers["location"] == f"/examples/{first}"


def test_what_was_left_out_is_listed_by_reason(site: Site, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejections, "ON_A_PAGE", 1)
    by_reason = shown.rows(
        "SELECT judgement, kind, l.reason, array_agg(l.id::text ORDER BY l.id) FROM lineage.rejections l"
        " JOIN lineage.runs r ON r.id = run_id WHERE run = 'small-1' GROUP BY judgement, kind, l.reason"
    )
    assert {kind for _, kind, *_ in by_reason} == {"instruction", "instance", "candidate", "verdict"}
    for judgement, kind, reason, left_out in by_reason:
        whole = site.get(f"/runs/small-1/rejections?judgement={judgement}")
        of_judgement = f"&judgement={judgement}" if judgement else ""
        address: str | None = f"/runs/small-1/rejections?kind={kind}&reason={reason}{of_judgement}"
        assert address in [each["href"] for each in whole.all("a")]
        found: list[str] = []
        while address:
            page = site.get(address)
            found += re.findall(rf"/records/{kind}/([0-9a-f-]+)", page.body)
            address = leads(page, "Next")
        assert found == left_out


def test_agreement_is_told_in_tables_and_as_a_picture(site: Site) -> None:
    page = site.get("/runs/small-1/agreement")
    assert re.search(r"instance \d+ \d+ \d+ %", page.text)
    assert site.get("/runs/small-1/agreement.svg").body.startswith("<svg ")
    assert "Nothing has been decided on yet" in site.get("/runs/later-1/agreement").text
    assert site.get("/runs/later-1/agreement.svg").status == 200
