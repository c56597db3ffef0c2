"""`ensemble-instruct retract --origin`: what came of an imported file, or of a record in it."""

import hashlib
import json
from pathlib import Path

import psycopg
import pytest

from tests.integration.admin.command_line import CommandLine, jsonl, row_counts
from tests.integration.admin.conftest import Finished
from tests.integration.admin.test_import_command import JOKE, SONG, SORT
from tests.integration.admin.test_retract_command import WHY, exported, retracted_as_foretold, rows

ORIGINS = {
    "file": ("SELECT 'a.jsonl'", "a.jsonl", 3),
    "digest": ("SELECT sha256 FROM origin_files WHERE number = 0", "", 3),
    "further-file": ("SELECT 'b.jsonl'", "b.jsonl", 2),
    "record": (
        "SELECT id FROM lineage.origins WHERE file = 'a.jsonl' AND number = 1",
        "line 1 of a.jsonl of run both (",
        1,
    ),
    "begin-of-id": (
        "SELECT left(CAST(id AS text), 13) FROM lineage.origins WHERE file = 'a.jsonl' AND number = 2",
        "line 2 of a.jsonl of run both (",
        1,
    ),
}


@pytest.mark.parametrize("origin", ORIGINS)
def test_what_came_of_an_import_is_retracted_as_the_dry_run_and_the_lineage_say(
    changing_command: CommandLine, changeable: Finished, origin: str
) -> None:
    import_both(changing_command)
    with psycopg.connect(changeable.database_url, autocommit=True) as connection:  # as if a call had shown one of them
        connection.execute(
            "UPDATE generations SET instruction_ids = ARRAY(SELECT id FROM instructions WHERE origin_id IS NOT NULL)"
            " WHERE stage = 'instruction'"
        )
    query, called, records = ORIGINS[origin]
    ((name,),) = rows(changeable, query)
    real = retracted_as_foretold(changing_command, changeable, "--origin", name)
    assert real["what"].startswith(called or name)
    assert real["records"]["origin"] == records
    runs = {each["run"] for each in real["runs"]}
    assert runs == ({"both"} if origin == "further-file" else {"both", changeable.name})
    assert changing_command("audit", "both").code == 0


def import_both(command: CommandLine) -> None:
    """A run of three instructions, for two of which a further file has outputs."""
    first = jsonl("a.jsonl", [SORT, JOKE, SONG])
    second = jsonl("b.jsonl", [{**SORT, "output": "a b."}, {**JOKE, "output": "No!"}])
    assert command("import", first, second, "--as", "both").code == 0


def test_an_export_leaves_out_what_came_of_a_retracted_file(changing_command: CommandLine) -> None:
    import_both(changing_command)
    changing_command("import", jsonl("c.jsonl", [SONG, JOKE]), "--as", "other")
    assert len(exported(changing_command, "both")) == 2
    before = exported(changing_command, "other")
    told = changing_command("retract", "--origin", "b.jsonl", *WHY)
    assert "retraction 1: origin file b.jsonl is retracted with all of this" in told.err
    assert told.out.splitlines()[1].split() == ["both", "2", "2", "2", "0", "0", "0", "2"]
    assert "All 2 examples of what is asked for are retracted" in changing_command.refused(2, "export", "both")
    changing_command("rejudge", "both", "--rule", "none")
    assert list(exported(changing_command, "both", "--judgement", 1).values()) == ["a b", "No.", "La."]
    changing_command("retract", "--origin", "a.jsonl", *WHY)
    assert "are retracted" in changing_command.refused(2, "export", "both", "--judgement", 1)
    assert exported(changing_command, "other") == before
    changing_command("unretract", 1)
    changing_command("unretract", 2)
    assert len(exported(changing_command, "both")) == 2


def test_a_retracted_file_is_not_imported_again_until_that_is_undone(
    changing_command: CommandLine, changeable: Finished
) -> None:
    import_both(changing_command)
    changing_command("retract", "--origin", "b.jsonl", *WHY)
    renamed = Path("b.jsonl").rename("renamed.jsonl")
    before = row_counts(changeable.database_url)
    told = changing_command.refused(2, "import", "a.jsonl", renamed, "--as", "again")
    assert "renamed.jsonl: this file is retracted (1: the licence was wrong)" in told
    assert row_counts(changeable.database_url) == before
    changing_command("unretract", 1)
    assert changing_command("import", "a.jsonl", renamed, "--as", "again").code == 0


def test_a_file_that_was_imported_twice_is_one_and_another_of_its_name_is_not(changing_command: CommandLine) -> None:
    for run in ("one", "two"):
        changing_command("import", jsonl("a.jsonl", [SORT]), "--as", run)
    changing_command("import", jsonl("a.jsonl", [JOKE]), "--as", "three")
    told = changing_command.refused(2, "retract", "--origin", "a.jsonl", *WHY)
    assert "'a.jsonl' is the name of several origin files: a.jsonl of run one (" in told
    digest = hashlib.sha256(jsonl("same.jsonl", [SORT]).read_bytes()).hexdigest()
    real = json.loads(changing_command("retract", "--origin", digest, *WHY, "--json").out)
    assert {each["run"] for each in real["runs"]} == {"one", "two"}
    assert len(exported(changing_command, "three")) == 1
