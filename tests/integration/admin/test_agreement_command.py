import json
import re
from pathlib import Path
from xml.etree import ElementTree

from shared.store.session import Sessions
from tests.integration.admin.command_line import CommandLine
from tests.integration.admin.conftest import Finished
from tests.integration.store.judged import Outputs, plant_judged

LONG = "an answer that takes its time and says just what was asked for"
OUTVOTED: Outputs = (LONG, "it says yes", "it says no")
AGREED: Outputs = ("yes indeed", "yes indeed", "never")


def test_the_report_warns_of_look_alikes_and_names_what_mends_it(command: CommandLine, sessions: Sessions) -> None:
    plant_judged(sessions, [OUTVOTED] * 24 + [AGREED])
    outcome = command("agreement", "judged-1")
    told = " ".join(outcome.out.split())
    assert outcome.code == 0
    assert "25 instances judged by ensemble-instruct, 25 outputs kept, 1 (4%) as exact matches" in told
    assert "instance base 1 25 1 4% 12.6 2.9 2.0" in told
    assert "warning: 'one' and 'two' answer alike" in told
    counted = (
        r"over the 25 instances that kept an output and had a further voice's, too, their Rouge-L is 0\.\d\d with each"
    )
    assert re.search(counted, told)
    assert "won 24 of them (96%," in told
    mend = told.partition("What that changes: ensemble-instruct ")[2]
    assert mend == "rejudge judged-1 --family one=akin --family two=akin --dry-run"
    command(*mend.split()[:-1])
    assert "warning" not in command("agreement", "judged-1", "--judgement", 1).out
    assert "warning" in command("agreement", "judged-1", "--judgement", 0).out


def test_a_program_is_told_the_same(command: CommandLine, sessions: Sessions) -> None:
    plant_judged(sessions, [OUTVOTED, AGREED])
    told = json.loads(command("agreement", "judged-1", "--json").out)
    assert (told["instances"], told["kept"], told["exact_matches"], told["warnings"]) == (2, 2, 1, [])
    assert [(each["voice"], each["wins"]) for each in told["voices"]] == [("instance", 1), ("one", 1), ("two", 0)]
    assert [pair["exact_share"] for pair in told["pairs"]] == [0.5, 0.0, 0.0]
    assert told["models"] == {"instance": "base", "one": "base", "two": "base"}


def test_a_picture_is_drawn_once(command: CommandLine, sessions: Sessions) -> None:
    plant_judged(sessions, [OUTVOTED, AGREED])
    outcome = command("agreement", "judged-1", "--svg", "agreement.svg")
    assert (outcome.code, outcome.err) == (0, "drawn to agreement.svg\n")
    assert ElementTree.parse("agreement.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own
    assert "agreement.svg exists already" in command.refused(2, "agreement", "judged-1", "--svg", "agreement.svg")
    assert "can't be written" in command.refused(1, "agreement", "judged-1", "--svg", "nowhere/agreement.svg")


def test_a_real_run_is_reported_on(later_command: CommandLine, finished: Finished) -> None:
    outcome = later_command("agreement", finished.id[:8], "--json")
    told = json.loads(outcome.out)
    assert sum(each["wins"] for each in told["voices"]) == told["kept"] >= 5
    assert not list(Path().glob("*.svg"))


def test_what_is_not_there(command: CommandLine, begun: str) -> None:
    assert "There is no run 'nobody'" in command.refused(2, "agreement", "nobody")
    assert "Run 'small-1' has no verdicts" in command.refused(2, "agreement", "small-1")
    assert "has no judgement 3; it has 0." in command.refused(2, "agreement", "small-1", "--judgement", 3)
