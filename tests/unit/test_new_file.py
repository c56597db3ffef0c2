"""Files that were not there before are written whole or not at all."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.new_file import write_new


@pytest.fixture
def a_disk_with_little_room() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    write_new(path, "mine\n")
    with pytest.raises(FileExistsError):
        write_new(path, "other\n")
    assert path.read_text() == "mine\n"


@pytest.mark.usefixtures("a_disk_with_little_room")
def test_a_disk_that_fills_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    with pytest.raises(OSError, match="File too large"):
        write_new(path, "x" * 10_000)
    assert not path.exists()
