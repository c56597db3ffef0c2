"""`ensemble-instruct impact`: it finds what the lineage of each example leads back to, and nothing else."""

import json

import psycopg
import pytest

from tests.integration.admin.command_line import CommandLine
from tests.integration.admin.conftest import Finished

ROOTS = {
    "--seed": (
        "seed_task",
        "SELECT source_id, array_agg(seed_task_id) FROM lineage.seed_influence GROUP BY 1 ORDER BY 1",
    ),
    "--model": ("model", "SELECT name, array_agg(id) FROM models GROUP BY 1 ORDER BY 1"),
    "--prompt": ("prompt_template", "SELECT name || '@' || version, ARRAY[id] FROM prompt_templates ORDER BY 1"),
    "--instruction": ("instruction", "SELECT CAST(id AS text), ARRAY[id] FROM instructions ORDER BY 1"),
}


@pytest.mark.parametrize("option", ROOTS)
def test_it_finds_the_examples_that_have_it_as_an_ancestor(
    later_command: CommandLine, finished: Finished, option: str
) -> None:
    kind, names = ROOTS[option]
    query = """
        SELECT e.id, min(a.distance) FROM lineage.examples e
        CROSS JOIN LATERAL lineage.ancestors('example', e.id) a
        WHERE a.ancestor_kind = %s AND a.ancestor_id = ANY (%s) GROUP BY e.id
    """
    with psycopg.connect(finished.database_url) as connection:
        expected = {
            name: {str(id): distance for id, distance in connection.execute(query, [kind, ids])}
            for name, ids in connection.execute(names).fetchmany(4)
        }
    for name, examples in expected.items():
        told = json.loads(later_command("impact", option, name, "--json").out)
        assert {each["id"]: each["distance"] for each in told} == examples
    assert any(expected.values())


def test_it_counts_and_lists(later_command: CommandLine, finished: Finished) -> None:
    outcome = later_command("impact", "--model", "base")
    assert outcome.err.splitlines()[0].endswith("examples came from model base")
    assert finished.name in outcome.out
    with psycopg.connect(finished.database_url) as connection:
        (id,) = connection.execute("SELECT id FROM examples ORDER BY task_type, position LIMIT 1").fetchone() or ("",)
    assert str(id) in outcome.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Name one thing to trace"),
        (("--seed", "a", "--model", "b"), "Name one thing to trace"),
        (("--seed", "nobody"), "There is no seed task 'nobody'. It is named by its id in the seed file."),
        (("--model", "nobody"), "There is no model 'nobody'. It is named as in the job"),
        (("--prompt", "nobody@2"), "There is no prompt template 'nobody@2'"),
        (("--instruction", "abcdef12"), "There is no record 'abcdef12'"),
    ],
)
def test_what_is_not_there_is_named(later_command: CommandLine, arguments: tuple[str, ...], told: str) -> None:
    assert told in later_command.refused(2, "impact", *arguments)


def test_the_id_of_something_else_is_no_instruction(later_command: CommandLine, finished: Finished) -> None:
    with psycopg.connect(finished.database_url) as connection:
        (id,) = connection.execute("SELECT id FROM examples LIMIT 1").fetchone() or ("",)
    assert "It is the id of: example." in later_command.refused(2, "impact", "--instruction", str(id))
