"""Writing an overlay's folder: all of it, or nothing."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from shared.errors import UserError, WorldError

HEADERS = {
    "kustomization.yaml": "# Written by `ensemble-instruct k8s`; kubectl apply -k FOLDER",
    "model.yaml": "# What the components make of this model; edit it: weights, revision (pin one), GPUs, limits.",
    "way-out.yaml": "# The way to this model's servers, which are not the overlay's.",
    "job.yaml": "# The job with the addresses that its models have in the cluster: the one to enqueue.",
}


class FolderTakenError(UserError):
    """{path} exists already and is not an empty folder; name another one with --out, or remove it."""


class FolderFailedError(WorldError):
    """{path} can't be written: {reason}"""


def refuse_taken(folder: Path) -> None:
    """Raises `FolderTakenError` if there is anything at `folder` but an empty one, and `FolderFailedError`."""
    try:
        if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
            raise FolderTakenError(path=folder)
    except OSError as error:
        raise FolderFailedError(path=folder, reason=error.strerror) from error


def write(folder: Path, files: Mapping[str, Any], copies: Mapping[str, Path]) -> None:
    """Write plain values as YAML and copy files and folders, each by its path in `folder`, which nobody sees half done.

    Raises `FolderTakenError`, `FolderFailedError`.
    """
    refuse_taken(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as unfinished:
            made = Path(unfinished) / "made"
            _fill(made, files, copies)
            os.rename(made, folder)
    except OSError as error:
        raise FolderFailedError(path=folder, reason=error.strerror or error) from error


def _fill(folder: Path, files: Mapping[str, Any], copies: Mapping[str, Path]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{HEADERS[path.name]}\n{_yaml(content)}", encoding="utf-8")
    for name, source in copies.items():
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copyfile(source, folder / name)


def _yaml(content: Mapping[str, Any]) -> str:
    """Patches are texts in Kustomize's eyes."""
    patches = [{**each, "patch": _dump(each["patch"])} for each in content.get("patches", [])]
    return _dump({**content, **({"patches": patches} if patches else {})})


def _dump(content: Any) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, and everything in full, as a person would write it."""

    def ignore_aliases(self, data: object) -> bool:
        """No anchors."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
