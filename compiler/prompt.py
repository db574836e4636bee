"""A Jinja template and columns go in; the messages of a request come out.

A pass of its own because it is the only place where contributors' text meets a prompt. One
sandboxed environment, made once; every value that a template reads is fenced, so that no text can
close or open one of its tags. A template's blocks `system` and `user` are the roles.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROLES = ("system", "user")

_TAG_NAME = re.compile(r"</?\s*([A-Za-z][\w-]*)\s*>")
_CHAT = re.compile(
    r"<(?=[|｜][^<>\n]{0,60}[|｜]>)|\[(?=/?INST\])|<(?=</?SYS>>)"
    r"|<(?=/?s>|(?:bos|eos|pad|unk|end_of_turn|start_of_turn|endoftext)>)",
    re.IGNORECASE,
)


# What rendering a contributor's template can raise; a value of the wrong kind is no bug of ours.
TEMPLATE_FAULTS = (
    jinja2.TemplateError,
    TypeError,
    ValueError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: str
    content: str

    def as_json(self) -> dict[str, str]:
        return {"role": self.role, "content": self.content}


ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,
)
# What draws at random would ask another question at every compile.
del ENVIRONMENT.filters["random"], ENVIRONMENT.globals["lipsum"]


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template; `reads` maps each column it needs to the first line that reads it.

    `tags` are the names of the tags that the template's own text holds.
    """

    name: str
    compiled: jinja2.Template
    reads: Mapping[str, int]
    tags: frozenset[str]


def compile_template(name: str, text: str) -> Template:
    """Compiles `text`. Raises jinja2.TemplateSyntaxError."""
    reads = _reads(ENVIRONMENT.parse(text))
    tags = frozenset(_TAG_NAME.findall(text))
    return Template(name, ENVIRONMENT.from_string(text), reads, tags)


def compile_condition(text: str) -> Template:
    """Compiles an expression, such as `rating >= 2`, as a template. Raises
    jinja2.TemplateSyntaxError.
    """
    return compile_template("if", "{% if " + text + " %}yes{% endif %}")


def _reads(syntax: nodes.Template) -> dict[str, int]:
    wanted = meta.find_undeclared_variables(syntax)
    lines: dict[str, int] = {}
    for name in syntax.find_all(nodes.Name):
        if name.name in wanted and name.ctx == "load":
            lines[name.name] = min(name.lineno, lines.get(name.name, name.lineno))
    return dict(sorted(lines.items()))


def fence(value: object, tags: frozenset[str]) -> object:
    """`value` made harmless inside a prompt that uses `tags`: texts in it can neither open nor
    close one.

    A tag's bracket becomes U+2039, that of a chat-template token U+27E6: a teacher reads them as
    brackets, and no parser does. Lists and mappings are gone through.
    """
    if isinstance(value, str):
        names = "|".join(sorted(re.escape(tag) for tag in tags))
        text = (
            re.sub(rf"<(?=/?\s*(?:{names})\b)", "‹", value, flags=re.IGNORECASE) if tags else value
        )
        return _CHAT.sub("⟦", text)
    if isinstance(value, Mapping):
        return {key: fence(item, tags) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fence(item, tags) for item in value]
    return value


def render(template: Template, columns: Mapping[str, object]) -> tuple[Message, ...]:
    """The messages of one request, a block per role; without blocks it is one user message."""
    columns = {name: fence(columns[name], template.tags) for name in template.reads}
    blocks = template.compiled.blocks
    if not any(role in blocks for role in ROLES):
        return (Message("user", template.compiled.render(columns).strip()),)
    context = template.compiled.new_context(dict(columns))
    return tuple(
        Message(role, "".join(blocks[role](context)).strip()) for role in ROLES if role in blocks
    )


def render_text(template: Template, columns: Mapping[str, object]) -> str:
    """The text of a template that is not a prompt: one message of a sample."""
    return template.compiled.render(columns).strip()


def holds(condition: Template, columns: Mapping[str, object]) -> bool:
    """Whether a condition made by `compile_condition` is true of these columns."""
    return condition.compiled.render(columns) == "yes"
