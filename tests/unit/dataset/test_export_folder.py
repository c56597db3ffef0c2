"""The folder of an export: whole, or not there."""

import hashlib
from pathlib import Path

import pytest

from shared.dataset.export_folder import ExportFailedError, Folder, FolderInUseError, FolderNotEmptyError, check_free


def test_it_appears_when_it_is_published_with_all_its_files(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with Folder(out) as folder:
        file = folder.create("data/one.txt")
        file.write(b"one\n")
        file.write(b"two\n")
        folder.add("data/one.txt", file, rows=2)
        assert not out.exists()
        folder.publish()
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert (out / "data" / "one.txt").read_bytes() == b"one\ntwo\n"
    (told,) = folder.files
    assert (told.path, told.bytes, told.rows) == ("data/one.txt", 8, 2)
    assert told.sha256 == hashlib.sha256(b"one\ntwo\n").hexdigest()


def test_nothing_of_it_is_left_when_something_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Folder(tmp_path / "deep" / "out") as folder:
        _fill_half(folder)
    assert list(tmp_path.iterdir()) == []


def _fill_half(folder: Folder) -> None:
    folder.create("one.txt").write(b"one")
    raise KeyboardInterrupt


def test_it_takes_the_place_of_an_empty_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    link = tmp_path / "link"
    link.symlink_to(out)
    check_free(link)
    with Folder(link) as folder:
        folder.add("one.txt", folder.create("one.txt"))
        folder.publish()
    assert link.is_symlink()
    assert [path.name for path in out.iterdir()] == ["one.txt"]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(FolderNotEmptyError, match="is not empty; name another folder with --out"):
        check_free(tmp_path)


def test_a_folder_that_can_not_be_replaced_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FolderInUseError, match="is the current folder, which can't be replaced"):
        check_free(Path())


def test_a_file_in_its_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportFailedError, match="something in its path is a file, not a folder"):
        check_free(tmp_path / "file")
    with pytest.raises(ExportFailedError, match="something in its path is a file, not a folder"):
        Folder(tmp_path / "file" / "below").__enter__()
