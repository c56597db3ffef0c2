"""Weights are joined from installed packages, checked, and trusted afterwards."""

import hashlib
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.local.weights import GEMMA, QWEN, MissingPart, NoRoom, Part, Weights, WrongWeights, obtain

PIECES = (b"one", b"two", b"three")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def made_up(site: Path) -> Weights:
    """Weights in three packages, each of which raises when it is imported."""
    stem = f"weights_{uuid.uuid4().hex}"
    parts = tuple(Part(f"{stem}_{number}", "data/part.bin") for number in range(len(PIECES)))
    for part, piece in zip(parts, PIECES, strict=True):
        (site / part.package / "data").mkdir(parents=True)
        (site / part.package / "__init__.py").write_text("raise RuntimeError('imported')")
        (site / part.package / part.file).write_bytes(piece)
    return Weights("made-up.gguf", hashlib.sha256(b"".join(PIECES)).hexdigest(), parts)


def test_parts_are_joined_in_order(made_up: Weights, tmp_path: Path) -> None:
    assert obtain(made_up, tmp_path / "weights").read_bytes() == b"onetwothree"


def test_joining_is_reported(made_up: Weights, tmp_path: Path) -> None:
    lines: list[str] = []
    obtain(made_up, tmp_path / "weights", lines.append)
    assert lines == ["joining made-up.gguf (0 MB) from 3 packages"]


def test_a_checked_file_is_not_read_again(made_up: Weights, site: Path, tmp_path: Path) -> None:
    whole = obtain(made_up, tmp_path / "weights")
    (site / made_up.parts[0].package / made_up.parts[0].file).unlink()
    assert obtain(made_up, tmp_path / "weights") == whole


def test_a_file_that_changed_is_joined_anew(made_up: Weights, tmp_path: Path) -> None:
    whole = obtain(made_up, tmp_path / "weights")
    whole.write_bytes(b"something else")
    assert obtain(made_up, tmp_path / "weights").read_bytes() == b"onetwothree"


def test_a_missing_package_is_named_with_the_mend(made_up: Weights, tmp_path: Path) -> None:
    gone = Part("weights_that_nobody_has", "data/part.bin")
    lacking = Weights(made_up.name, made_up.sha256, (*made_up.parts, gone))
    with pytest.raises(MissingPart, match=r"no weights_that_nobody_has\. Run `make setup`"):
        obtain(lacking, tmp_path / "weights")


def test_a_package_without_its_file_is_named(made_up: Weights, site: Path, tmp_path: Path) -> None:
    (site / made_up.parts[1].package / made_up.parts[1].file).unlink()
    with pytest.raises(MissingPart, match=made_up.parts[1].package):
        obtain(made_up, tmp_path / "weights")


def test_a_wrong_hash_is_refused_and_leaves_nothing(made_up: Weights, site: Path, tmp_path: Path) -> None:
    (site / made_up.parts[2].package / made_up.parts[2].file).write_bytes(b"thr33")
    with pytest.raises(WrongWeights, match=f"not {made_up.sha256}"):
        obtain(made_up, tmp_path / "weights")
    assert list((tmp_path / "weights").iterdir()) == []


def test_a_full_disk_is_told_beforehand(made_up: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(NoRoom, match="ENSEMBLE_INSTRUCT_HOME"):
        obtain(made_up, tmp_path / "weights")


def test_the_installed_weights_are_complete() -> None:
    assert [part.package for each in (GEMMA, QWEN) for part in each.parts if part.find() is None] == []
