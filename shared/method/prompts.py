"""Prompt templates: Jinja with YAML front matter, rendered with demonstrations as plain values.

Source: the paper's section 3.1 (which demonstrations a prompt shows); the wording is our own.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import yaml
from jinja2 import StrictUndefined, Template, TemplateSyntaxError, meta, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.errors import UserError
from shared.method.decoding import Decoding
from shared.method.tasks import Demonstration, DemonstrationKind, Stage, TaskType

MAX_STOPS = 4  # TGI refuses more
_SOURCE = re.compile(r"\A---[ \t]*\n(?P<front>.*?)^---[ \t]*\n(?P<body>.*)\Z", re.DOTALL | re.MULTILINE)


_SHOWN = {"demonstration": frozenset({"kind", "key", "instruction", "input", "output"}), "loop": frozenset({"index"})}


class _CodeGenerator(CodeGenerator):
    """Compiles what prompts are made of to plain attributes: to ask the sandbox each time took most of the time.

    Whatever a template gives these names to, it gets nothing with them that the sandbox would keep from it.
    """

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        """Called by Jinja for each attribute in a template."""
        if isinstance(node.node, nodes.Name) and node.attr in _SHOWN.get(node.node.name, ()):
            self.visit(node.node, frame)
            self.write(f".{node.attr}")
        else:
            super().visit_Getattr(node, frame)


class _Environment(ImmutableSandboxedEnvironment):
    code_generator_class = _CodeGenerator


_ENVIRONMENT = _Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)


class PromptError(UserError):
    """{name} is not a prompt template: {field}: {message}"""


class UnrenderableError(UserError):
    """The prompt template '{name}' can't be rendered: {message}"""


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A template and what its front matter says. `sha256` is of `source`, the whole text.

    `task_type` is `None` for a template that serves both. `stop` holds at most 4 strings.
    """

    id: str
    version: int
    stage: Stage
    task_type: TaskType | None
    description: str
    decoding: Decoding
    stop: tuple[str, ...]
    body: str
    source: str
    sha256: str

    def stop_for(self, harvest: int = 1) -> tuple[str, ...]:
        """The stop strings for `harvest` texts out of one answer.

        They end the answer after its first text, so for more than one there are none, and the LM
        writes until `max_new_tokens`.
        """
        return self.stop if harvest == 1 else ()

    @property
    def shows_demonstrations(self) -> bool:
        """Whether the prompt holds demonstrations at all; a zero-shot one doesn't."""
        return "demonstrations" in _variables(self.body)


class _FrontMatter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    version: int = Field(ge=1)
    stage: Stage
    task_type: TaskType | None
    description: str
    decoding: Decoding
    stop: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = Field(max_length=MAX_STOPS)


def parse_template(source: str, name: str = "the text") -> PromptTemplate:
    """Read a template: front matter between two lines of `---`, then the body.

    `name` is what an error calls it, a path as a rule. A trial rendering finds misspelt variables
    here, not in the middle of a run. Raises `PromptError`.
    """
    parts = _SOURCE.match(source.replace("\r\n", "\n"))
    if parts is None:
        raise PromptError(name=name, field="front matter", message="begin with YAML between two '---' lines")
    front = _front_matter(parts["front"], name)
    template = PromptTemplate(
        **{field: getattr(front, field) for field in _FrontMatter.model_fields},
        body=parts["body"],
        source=source,
        sha256=hashlib.sha256(source.encode()).hexdigest(),
    )
    _try_out(template, name)
    return template


def render(template: PromptTemplate, demonstrations: Sequence[Demonstration], **values: str) -> str:
    """The prompt: `demonstrations` in their order, and the template's other values by name.

    An instance template takes `instruction`, an output template `instruction` and `input`. What a
    text holds, `{{` for example, is never read as template. Raises `UnrenderableError`, for one when a
    value is missing.
    """
    compiled = _compiled(template.body)
    try:
        return compiled.render(demonstrations=tuple(demonstrations), **values)
    except Exception as error:  # a template may divide by zero or worse
        raise UnrenderableError(name=template.id, message=f"{type(error).__name__}: {error}") from error


@lru_cache(maxsize=256)
def _compiled(body: str) -> Template:
    template = _ENVIRONMENT.from_string(body)
    template.globals = dict(template.globals)  # a ChainMap, which took longer to read than the prompt to write
    return template


@lru_cache(maxsize=256)
def _variables(body: str) -> set[str]:
    return meta.find_undeclared_variables(_ENVIRONMENT.parse(body))


def _front_matter(text: str, name: str) -> _FrontMatter:
    try:
        return _FrontMatter.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        message = " ".join(str(error).split())
        raise PromptError(name=name, field="front matter", message=message) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "front matter"
        raise PromptError(name=name, field=field, message=first["msg"]) from error


_SAMPLE = Demonstration(DemonstrationKind.SEED, "sample", "instruction", "input", "output")
_VALUES = {
    Stage.INSTRUCTION: {},
    Stage.INSTANCE: {"instruction": "instruction"},
    Stage.OUTPUT: {"instruction": "instruction", "input": "input"},
}


def _try_out(template: PromptTemplate, name: str) -> None:
    values = _VALUES.get(template.stage)
    if values is None:
        raise PromptError(name=name, field="stage", message=f"'{template.stage}' has no prompt")
    try:
        prompt = render(template, (_SAMPLE,), **values)
    except TemplateSyntaxError as error:
        message = f"line {error.lineno}: {error.message}"
        raise PromptError(name=name, field="body", message=message) from error
    except UnrenderableError as error:
        raise PromptError(name=name, field="body", message=str(error.__cause__)) from error
    if not prompt.strip():
        raise PromptError(name=name, field="body", message="it renders to nothing")
