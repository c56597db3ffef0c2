"""Prompt templates on disk: the shipped ones, and a job's own in their place."""

from pathlib import Path

from shared.errors import UserError
from shared.method.prompts import PromptError, PromptTemplate, parse_template

SHIPPED_PROMPTS = Path(__file__).parents[2] / "prompts"
SUFFIX = ".md.j2"


class PromptFolderError(UserError):
    """The prompt folder {folder} can't be used: {reason}"""


def load_templates(own: Path | None = None) -> dict[str, PromptTemplate]:
    """The shipped templates by id, those of the folder `own` added or put in their place.

    Raises `PromptError` for a faulty template, `PromptFolderError` for a folder without templates.
    """
    shipped = _read_folder(SHIPPED_PROMPTS)
    return shipped if own is None else shipped | _read_folder(own)


def _read_folder(folder: Path) -> dict[str, PromptTemplate]:
    templates: dict[str, PromptTemplate] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        template = parse_template(_read(path), str(path))
        if template.id in templates:
            raise PromptError(name=path, field="id", message=f"'{template.id}' is taken by another file")
        templates[template.id] = template
    if not templates:
        reason = f"it holds no file *{SUFFIX}" if folder.is_dir() else "it is not a folder"
        raise PromptFolderError(folder=folder, reason=reason)
    return templates


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptFolderError(folder=path.parent, reason=f"{path.name}: {error}") from error
