"""A YAML error goes in; a finding comes out: what the author did, where, and how to mend it.

A pass of its own because a parser's words are about the parser. It knows what it was reading when
it stopped; what went wrong there, the lines and the last token tell.
"""

import re
from collections.abc import Callable

import yaml

from compiler.codes import S001
from compiler.diagnostics import Note, Report, Span
from compiler.tree.syntax import layout, letters
from compiler.tree.syntax.scene import Cause, Scene

CAUSES: tuple[Callable[[Scene], Cause | None], ...] = (
    letters.control,
    letters.stray,
    layout.header_text,
    letters.open_quote,
    letters.after_quote,
    letters.after_bracket,
    layout.glued,
    layout.lost_indent,
    letters.open_bracket,
    layout.second_colon,
    letters.first_letter,
    layout.wrong_indent,
)


def explain(wrong: yaml.YAMLError, path: str, report: Report) -> None:
    """Reports `wrong`, which YAML's reader raised about the text of `path`, as S001."""
    scene = Scene(wrong, path, report.texts.get(path, ""))
    cause = next((found for kind in CAUSES if (found := kind(scene))), None)
    if cause is None and not scene.has_place:
        report.add(S001, scene.problem, Span(path), "open it in an editor that knows YAML")
        return
    cause = cause or _by_words(scene)
    notes = []
    if cause.note:
        message, *place = cause.note
        notes.append(Note(message, scene.lines.span(*place)))
    report.add(S001, cause.message, scene.lines.span(cause.start, cause.end), cause.hint, notes)


def _by_words(s: Scene) -> Cause:
    """What the reader's own words come to, where nothing better is known."""
    at = s.begun if "expected ':'" in s.problem and s.begun is not None else s.at
    end = max(at + 1, s.place(s.row(at))[1])
    for words, message, hint in _WORDS:
        if re.search(words, s.problem):
            return Cause(message or s.problem, hint, at, end)
    return Cause(s.problem, "put the text in quotes, or write what YAML expects", at, at + 1)


_WORDS = (
    (
        r"could not find expected ':'",
        "this line is neither a key nor part of a text",
        "indent it like the text it belongs to, or put a colon and a space after the key",
    ),
    (
        r"another document|expected <document start>",
        "a second YAML document starts here",
        "keep one leaf in the file; indent a line `---` or `...` that belongs to a text",
    ),
    (
        r"block sequence entries are not allowed",
        "a list cannot start on this line",
        "put `- ` on the next line, or the text in quotes",
    ),
    (r"did not find expected key", "this does not continue the mapping", "check indent and quotes"),
    (
        r"did not find expected '-'",
        "this does not continue the list",
        "start each item with `- ` at the same indent",
    ),
    (
        r"is not a possible value|digits$",
        "",
        "put it in quotes if it is a text",
    ),
    (
        r"cannot be a key",
        "a text that starts with a bracket is a list or a mapping in YAML",
        "put the whole text in quotes",
    ),
)
