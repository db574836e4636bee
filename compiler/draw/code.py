"""A problem and its solution go in; what can be said of the code in them comes out, with nothing of
it run.

A file of its own because code in a text is found in one way: in fences, or else the text itself.
"""

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.M | re.S)
_BEGIN = re.compile(
    r"^(?:@\w|(?:async +)?def +\w|class +\w|import +\w|from +[\w.]+ +import\b)", re.M
)
_STUB = re.compile(r":[ \t]*(?:\.\.\.|pass)\Z")  # on the line of the signature
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_NAMED = (*_FUNCTIONS, ast.ClassDef)


def blocks(text: str) -> list[str]:
    """What stands between fences, one string for each; the last fence may lack its end."""
    return [textwrap.dedent(found[2]) for found in _FENCE.finditer(text)]


def same_code(problem: str, solution: str) -> bool:
    """Whether nothing of the solution's code is new: white space aside, each block of it is one of
    the problem's.

    A text without a fence is one block. A solution that quotes the problem and goes on is no copy.
    (Wei et al., "Magicoder", arXiv 2312.02120, section 2.2.)
    """
    known = {_bare(block) for block in (problem, *blocks(problem))}
    given = {_bare(block) for block in blocks(solution) or [solution]} - {""}
    return bool(given) and given <= known


def parses(text: str) -> bool:
    """Whether it is Python: at least one statement, and no syntax error. The code in fences counts
    alone, where there is some.
    """
    return bool(_parsed("\n".join(blocks(text) or [text])))


def completed(problem: str, solution: str) -> str:
    """The source that a problem, a Python signature with its docstring, and its solution make
    together.

    The solution is the body, at any indent, or the whole function, or its class, again; then what
    stands before that in the problem, such as imports, stays. What cannot be joined is still
    returned: it does not parse.
    """
    start = _STUB.sub(":", _python(problem))
    body = "\n".join(blocks(solution) or [solution]).strip("\n")
    place = _place(start)
    if place is None:
        return f"{start}\n{body}\n"
    again = textwrap.dedent(body)
    named = {stmt.name for stmt in _parsed(again) if isinstance(stmt, _NAMED)}
    if place.top in named:
        return f"{_head(start, place.top_line)}{again}\n"
    if place.name in named:
        return f"{_head(start, place.line)}{textwrap.indent(again, place.outer)}\n"
    made = [f"{start}\n{one}\n" for one in _bodies(body, place.inner)]
    return next((source for source in made if _parsed(source)), made[0])


@dataclass(frozen=True, slots=True)
class _Place:
    """The function that is to be completed, and the statement of the module that it is or is in.

    The lines are 1-based and those of the first decorator; `outer` and `inner` are the indents of
    the function and of its body.
    """

    name: str
    line: int
    top: str
    top_line: int
    outer: str
    inner: str


def _place(start: str) -> _Place | None:
    """The last function of a source that may end with its signature."""
    last = start.rpartition("\n")[2]
    stub = f"{start}\n{last[: len(last) - len(last.lstrip())]}    pass"
    for source in (start, stub):
        found = [
            (node.lineno, node, top)
            for top in _parsed(source)
            if isinstance(top, _NAMED)
            for node in ast.walk(top)
            if isinstance(node, _FUNCTIONS)
        ]
        if found:
            _, node, top = max(found, key=lambda one: one[0])
            lines = source.split("\n")
            outer, first = _indent(lines, node.lineno), node.body[0].lineno
            inner = _indent(lines, first) if first > node.lineno else outer + "    "
            return _Place(node.name, _first(node), top.name, _first(top), outer, inner)
    return None


def _first(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return min([node.lineno, *(mark.lineno for mark in node.decorator_list)])


def _indent(lines: Sequence[str], number: int) -> str:
    line = lines[number - 1]
    return line[: len(line) - len(line.lstrip())]


def _head(source: str, line: int) -> str:
    """What stands before a line."""
    return "".join(f"{one}\n" for one in source.split("\n")[: line - 1])


def _bodies(body: str, indent: str) -> Iterator[str]:
    """What a body may have been: without its indent, with only its first line so, or as it is."""
    yield textwrap.indent(textwrap.dedent(body), indent)
    first, _, rest = body.partition("\n")
    yield textwrap.indent(f"{first.lstrip()}\n{textwrap.dedent(rest)}", indent)
    yield body


def _python(text: str) -> str:
    """The code of a problem: what is fenced, or what follows the words before the first line of
    code.
    """
    if fenced := blocks(text):
        return "\n".join(fenced).rstrip()
    begin = _BEGIN.search(text)
    return text[begin.start() if begin else 0 :].rstrip()


def _parsed(source: str) -> list[ast.stmt]:
    """The statements of a source; none where it is no Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an odd escape in a teacher's string is none of ours
        try:
            return ast.parse(source).body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return []


def _bare(text: str) -> str:
    return "".join(text.split())
