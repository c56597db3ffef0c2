"""Conditions of --where: one condition passes, anything else is refused with what and where."""

import pytest

from shared.dataset.conditions import ConditionError, read_condition


@pytest.mark.parametrize(
    ("given", "functions"),
    [
        ("exact_match OR agreement >= 0.5", set()),
        ("run = 'it''s; a run' AND NOT surplus", set()),
        ("length(output) BETWEEN 1 AND 200", {"length"}),
        ("output ~* '^yes' AND input NOT LIKE '%100\\%'", set()),
        ("position % 2 = 0 AND chosen_voice IN ('instance', 'qwen')", set()),
        (
            "EXISTS (SELECT FROM lineage.candidates c WHERE c.instance_id = examples.instance_id AND c.reason = 'x')",
            set(),
        ),
        ("(SELECT count(*) FROM lineage.ancestors('example', examples.id)) > 3", {"count", "lineage.ancestors"}),
        ("array_length(string_to_array(output, ' '), 1) > 3", {"array_length", "string_to_array"}),
        ("agreement > ALL (SELECT e.agreement FROM lineage.examples e WHERE e.run <> examples.run)", set()),
        ("left(output, 3) = 'abc' AND \"right\"(output, 3) = 'abc'", {"left", "right"}),
        ("CASE WHEN surplus THEN true ELSE margin IS NULL END", set()),
        ("created_at > CAST('2026-01-01' AS timestamp(3))", set()),
    ],
)
def test_a_condition_passes_with_the_functions_that_it_calls(given: str, functions: set[str]) -> None:
    assert {str(each) for each in read_condition(given).functions} == functions


def test_spaces_and_comments_make_no_other_condition() -> None:
    assert read_condition("surplus  and\n(position>1) -- so") == read_condition("surplus AND (position /* ! */ > 1);")


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("", "there is nothing in it"),
        (" -- nothing", "there is nothing in it"),
        ("1=1; DROP TABLE examples", "it goes on after a semicolon, with DROP TABLE examples"),
        ("true; select 1", "it goes on after a semicolon, with SELECT 1"),
        ("(position > 1", "line 1, character 13, at '1': Expecting )"),
        ("position > 1)", "line 1, character 13, at ')': this is unexpected"),
        ("true) OR (true", "line 1, character 5, at ')': this is unexpected"),
        ("surplus\nAND AND run", "line 2, character 7, at 'AND'"),
        ("run = 'demo", "a quote or bracket is not closed"),
        ("true ORDER BY position", "at 'ORDER BY': this is unexpected"),
        ("true LIMIT 3", "at 'LIMIT': this is unexpected"),
        ("SELECT true", "it is no condition but SELECT TRUE"),
        ("true UNION SELECT true", "it is no condition but TRUE UNION SELECT TRUE"),
        ("DROP TABLE examples", "it is no condition but DROP TABLE examples"),
        ("COPY examples TO PROGRAM 'id'", "it is no condition but COPY"),
        ("EXISTS (SELECT FROM public.examples)", "it may read the schema lineage alone, not public.examples"),
        ("EXISTS (SELECT FROM examples)", "it may read the schema lineage alone, not examples"),
        ("EXISTS (SELECT FROM lineage.runs, pg_authid)", "it may read the schema lineage alone, not pg_authid"),
        ("EXISTS (SELECT FROM other.lineage.runs)", "it may read the schema lineage alone, not other.lineage.runs"),
        ("EXISTS (WITH x AS (SELECT 1) SELECT FROM x)", "WITH has no place in it"),
        ("EXISTS (WITH x AS (DELETE FROM lineage.runs RETURNING 1) SELECT FROM x)", "WITH has no place in it"),
        ("EXISTS (SELECT 1 INTO x FROM lineage.runs)", "INTO has no place in it"),
        ("EXISTS (SELECT FROM lineage.runs FOR UPDATE)", "a lock has no place in it"),
        ("run = $1", "a placeholder has no place in it"),
        ("run = :name", "a placeholder has no place in it"),
        ("run = E'demo'", "a string with escapes (E'…') has no place in it"),
        ("run = $$demo$$", "a string between dollar signs ($$…$$) has no place in it"),
        ("(" * 3000 + "true" + ")" * 3000, "it can't be read"),
    ],
)
def test_anything_else_is_refused_with_what_and_where(given: str, fault: str) -> None:
    with pytest.raises(ConditionError) as refused:
        read_condition(given)
    assert fault in str(refused.value)
    assert "Write one SQL condition over the columns of lineage.examples" in str(refused.value)
