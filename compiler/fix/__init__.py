"""A leaf file goes in; the same file comes out with what can safely be repaired in it repaired.

A pass of its own because `check` only looks. Each repair is one small change of the text; comments
and everything beside it stay as they are. What must hold between two texts is in `sheet`.
"""

import posixpath
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import PurePosixPath

from compiler.codes import S005
from compiler.diagnostics import Span
from compiler.fix.keys import name_version, spell
from compiler.fix.longtext import unfold
from compiler.fix.order import sort_keys
from compiler.fix.sheet import Repair, begin, is_no_worse
from compiler.fix.syntax import mend
from compiler.fix.text import tidy
from compiler.source import LEAF_NAME, SourceFile

__all__ = ["Fixed", "Repair", "fix"]

LONGEST = 1_000_000
ROUNDS = 8
STEPS = (mend, tidy, spell, name_version, sort_keys, unfold)
OF_ANY_VERSION = tuple(step for step in STEPS if step is not name_version)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A file before and after, and the repairs between the two, by place."""

    before: SourceFile
    data: bytes
    repairs: tuple[Repair, ...] = ()

    def diff(self, folder: str = ".") -> str:
        """What changed, as a unified diff that `git apply` takes; "" where nothing did.

        `folder`: where the taxonomy lies, as seen from where the diff is applied.
        """
        path = posixpath.normpath(posixpath.join(folder, self.before.path))
        old, new = (_lines(data) for data in (self.before.data, self.data))
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in unified_diff(old, new, f"a/{path}", f"b/{path}")
        )


def fix(file: SourceFile, may_renew: bool = True) -> Fixed:
    """Repairs what is safe. A file that is no leaf or has over a million bytes stays as it is.

    `may_renew`: whether a leaf without a version may get one, which asks for more than version 1.

    Where a repair makes another one possible, both are made: to fix what was fixed changes nothing.
    """
    same = Fixed(file, file.data)
    text, coded = _read(file.data)
    if text is None or len(file.data) > LONGEST or PurePosixPath(file.path).name != LEAF_NAME:
        return same
    first = sheet = begin(file.path, text)
    for _ in range(ROUNDS):
        before = sheet.text
        for step in STEPS if may_renew else OF_ANY_VERSION:
            sheet = step(sheet)
        if sheet.text == before:
            break
    else:
        return same
    is_worse = first.tree and not is_no_worse(sheet, first)
    is_guess = coded and not sheet.tree
    if is_worse or is_guess:
        return same
    repairs = [*sheet.repairs]
    if coded:
        code = None if "mark" in coded else S005
        repairs.append(Repair(code, coded, Span(file.path, 1, 1, 1, 1)))
    made = sorted(set(repairs), key=lambda r: (r.span, r.code.id if r.code else "", r.message))
    return Fixed(file, sheet.text.encode(), tuple(made))


def _read(data: bytes) -> tuple[str | None, str]:
    """The text of a file, None where its encoding would be a guess; what makes it plain UTF-8."""
    try:
        if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            text = data.decode("utf-16").lstrip("\ufeff")
            return (None if "\0" in text else text), "UTF-16 written as UTF-8"
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None, ""
    is_marked = text.startswith("\ufeff")
    return text.lstrip("\ufeff"), "byte order mark removed" if is_marked else ""


def _lines(data: bytes) -> list[str]:
    """The lines with their ends, as a diff counts them."""
    is_wide = data.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    text = data.decode("utf-16" if is_wide else "utf-8", "replace")
    return re.findall(r"[^\n]*\n|[^\n]+", text)
