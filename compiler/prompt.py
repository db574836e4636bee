"""A Jinja template and columns go in; the messages of a request come out.

A pass of its own because it is the only place where contributors' text meets a prompt. One
sandboxed environment, made once; every value that a template reads is fenced, so that no text can
close or open one of its tags. A template's blocks `system` and `user` are the roles.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from compiler.delimiters import BRACKETS, CHAT, tag_start
from compiler.draw import FILTERS, TESTS

ROLES = ("system", "user")

_CHAT = re.compile(CHAT, re.IGNORECASE)
_TAG_NAME = re.compile(r"</?\s*([A-Za-z][\w-]*)\s*>")

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
ENVIRONMENT.filters |= FILTERS
ENVIRONMENT.tests |= TESTS


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template; `reads` maps each column it needs to the first line that reads it.

    `tags` are the names that no text in it may use as a tag; `source` is the text of a condition.
    """

    name: str
    compiled: jinja2.Template
    reads: Mapping[str, int]
    tags: frozenset[str]
    source: str = ""


def compile_template(name: str, text: str, answers: Iterable[str] = ()) -> Template:
    """Compiles `text`. Raises jinja2.TemplateSyntaxError.

    `answers`: the tags of the reply. They are fenced like those that the template itself holds, for
    a teacher may repeat what it was given.
    """
    return _compiled(name, text, ENVIRONMENT.parse(text), answers)


def _compiled(name: str, text: str, syntax: nodes.Template, answers: Iterable[str]) -> Template:
    reads = _reads(syntax)
    tags = frozenset((*_TAG_NAME.findall(text), *answers))
    compiled = ENVIRONMENT.from_string(syntax)
    compiled.globals = dict(compiled.globals)  # a chain of mappings is gone through at every render
    return Template(name, compiled, reads, tags)


def compile_prompt(name: str, text: str, answers: Iterable[str]) -> Template:
    """Compiles the template of a request. Raises jinja2.TemplateSyntaxError, also where a part of
    it would not reach the teacher.
    """
    syntax = ENVIRONMENT.parse(text)
    _check_parts(syntax.body)
    return _compiled(name, text, syntax, answers)


def compile_condition(text: str) -> Template:
    """Compiles an expression, such as `rating >= 2`, as a template. Raises
    jinja2.TemplateSyntaxError.
    """
    made = compile_template("if", "{% if " + text + " %}yes{% endif %}")
    _check_expression(text)
    return replace(made, source=text)


def compile_expression(name: str, text: str) -> Template:
    """Compiles an expression for `number`. Raises jinja2.TemplateSyntaxError."""
    made = compile_template(name, "{{ " + text + " }}")
    _check_expression(text)
    return made


@lru_cache(maxsize=1024)
def _check_expression(text: str) -> None:
    """That the text does not close the braces that stand around it, to go on as a template."""
    try:
        ENVIRONMENT.compile_expression(text)
    except jinja2.TemplateAssertionError:  # a filter that is not there
        raise
    except jinja2.TemplateSyntaxError as wrong:
        raise _broken("this is not one expression", wrong.lineno) from wrong


def _check_parts(body: Sequence[nodes.Node]) -> None:
    """That every part of a prompt is sent: with roles, all that stands outside of them is not."""
    blocks = {one.name: one for one in body if isinstance(one, nodes.Block) and one.name in ROLES}
    for one in body:
        for block in (one, *one.find_all(nodes.Block)):
            if not isinstance(block, nodes.Block) or block in blocks.values():
                continue
            if block.name in ROLES:
                message = f"the block `{block.name}` stands inside of another tag"
                raise _broken(f"{message}, which does not count", block.lineno)
            if one not in blocks.values():
                message = f"the block `{block.name}` is neither `system` nor `user`"
                raise _broken(message, block.lineno)
        if blocks and one not in blocks.values() and (line := _first_line(one)):
            raise _broken("what stands outside of the blocks is not sent", line)
    for name, block in blocks.items():
        if not any(map(_first_line, block.body)):
            raise _broken(f"the block `{name}` is empty", block.lineno)
    if blocks and "user" not in blocks:
        raise _broken("there is no block `user`: nothing is asked", blocks["system"].lineno)
    if not any(map(_first_line, body)):
        raise _broken("the template is empty", 1)


def _first_line(node: nodes.Node) -> int:
    """The line where its first text or expression stands, 0 where there is none."""
    if isinstance(node, nodes.TemplateData):
        text = node.data
        return node.lineno + text[: -len(text.lstrip())].count("\n") if text.strip() else 0
    if not isinstance(node, nodes.Output):
        return node.lineno
    return next(filter(None, map(_first_line, node.nodes)), 0)


def _broken(message: str, line: int) -> jinja2.TemplateSyntaxError:
    return jinja2.TemplateSyntaxError(message, line)


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
    brackets, and no parser does. Nothing is removed, so nothing can close up to a new tag. Lists
    and mappings are gone through.
    """
    if isinstance(value, str):
        return _fenced(value, tags)
    if isinstance(value, Mapping):
        return {key: fence(item, tags) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fence(item, tags) for item in value]
    return value


@lru_cache(maxsize=4096)
def _fenced(value: str, tags: frozenset[str]) -> str:
    """One text; a unit's documents and examples are in many prompts."""
    text = _CHAT.sub("⟦", _tags(tags).sub("‹", value))
    at = max(map(text.rfind, BRACKETS))
    return f"{text[:at]}‹{text[at + 1 :]}" if at >= 0 and _begins(text[at + 1 :], tags) else text


@cache
def _tags(names: frozenset[str]) -> re.Pattern[str]:
    return re.compile(tag_start(names), re.IGNORECASE)


def _begins(end: str, tags: frozenset[str]) -> bool:
    """Whether what stands behind a text that ends so could make a tag of its last bracket."""
    name = end.casefold().rstrip()
    name = name[1:].lstrip() if name.startswith(("/", "／")) else name
    return any(tag.casefold().startswith(name) for tag in tags)


def render(template: Template, columns: Mapping[str, object]) -> tuple[Message, ...]:
    """The messages of one request, a block per role; without blocks it is one user message."""
    read = [name for name in template.reads if name in columns]  # a stage may be left out
    columns = {name: fence(columns[name], template.tags) for name in read}
    blocks = template.compiled.blocks
    if not any(role in blocks for role in ROLES):
        return (Message("user", template.compiled.render(columns).strip()),)
    context = template.compiled.new_context(dict(columns))
    return tuple(
        Message(role, "".join(blocks[role](context)).strip()) for role in ROLES if role in blocks
    )


def render_text(template: Template, columns: Mapping[str, object]) -> str:
    """The text of a template that is not a prompt: one message of a sample."""
    return _rendered(template, columns).strip()


def number(expression: Template, columns: Mapping[str, object]) -> float:
    """The value of what `compile_expression` made; NaN where it is no number."""
    try:
        return float(_rendered(expression, columns))
    except ValueError:
        return math.nan


def holds(condition: Template, columns: Mapping[str, object]) -> bool:
    """Whether a condition made by `compile_condition` is true of these columns."""
    return _rendered(condition, columns) == "yes"


def _rendered(template: Template, columns: Mapping[str, object]) -> str:
    read = {name: columns[name] for name in template.reads if name in columns}
    return template.compiled.render(read)
