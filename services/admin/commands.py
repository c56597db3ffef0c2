"""The commands by name. A command's module is imported when it is asked for: all of them together take a second."""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

MODULES = {
    "demo": "demo",
    **dict.fromkeys(("init", "validate", "enqueue"), "jobs"),
    "validate-seeds": "seeds",
    **dict.fromkeys(("runs", "status", "watch"), "runs"),
    "add-output": "adding",
    **dict.fromkeys(("dead", "retry-dead"), "dead"),
    **dict.fromkeys(("pause", "resume", "cancel"), "steering"),
    "export": "exporting",
    **dict.fromkeys(("exports", "diff"), "exports"),
    "push": "pushing",
    "import": "importing",
    "db": "data",
    "k8s": "kubernetes",
    "plan": "capacity",
    "lineage": "lineage",
    "impact": "impact",
    "explorer": "explorer",
    "replay": "replay",
    **dict.fromkeys(("retract", "unretract", "retractions"), "retracting"),
    "rejudge": "rejudging",
    "audit": "auditing",
    "agreement": "agreement",
    "novelty": "novelty",
    "consensus": "consensus",
    "local": "local",
    "bench": "bench",
}


class _Commands(Mapping[str, Any]):
    def __getitem__(self, name: str) -> Any:
        module = import_module(f"services.admin.{MODULES[name]}")
        if "structlog" in sys.modules:  # it takes a tenth of a second, and not all commands have something to log
            _log_to_stderr()
        of_module = typer.Typer()
        module.register(of_module)
        return get_group(of_module).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


def _log_to_stderr() -> None:
    """Stdout is for results."""
    import structlog

    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


class Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.commands = _Commands()  # type: ignore[assignment]  # Typer looks commands up there, and adds none
