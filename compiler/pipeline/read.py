"""The stages of a parsed pipeline go in; values of `compiler.pipeline.stages` come out.

A file of its own because each verb is read its own way, and every mistake has a place in the YAML
or in a template's line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jinja2

from compiler.codes import (
    CATALOGUE,
    D503,
    D515,
    D516,
    P203,
    P205,
    P206,
    P207,
    P210,
    P211,
    S005,
    Code,
    Severity,
)
from compiler.diagnostics import Report, Span
from compiler.draw import BrokenDraw, draws
from compiler.language import NAMES
from compiler.pipeline.folder import Folder
from compiler.pipeline.stages import (
    Best,
    Draw,
    Field,
    Generate,
    Keep,
    Rounds,
    Sampling,
    Say,
    Spread,
    Stage,
    Turn,
    Unique,
    Verify,
)
from compiler.prompt import (
    Template,
    compile_condition,
    compile_expression,
    compile_prompt,
    compile_template,
)
from compiler.schema import nearest
from compiler.tree import Path, Tree
from compiler.verify import KINDS, BrokenChecker, checker

_Item = Mapping[str, Any]


class Reader:
    """Reads the stages of one pipeline."""

    def __init__(self, tree: Tree, folder: Folder, report: Report) -> None:
        self._tree = tree
        self._folder = folder
        self._report = report
        self._prompts: frozenset[str] = frozenset()

    def stages(self, items: object, path: Path) -> tuple[Stage, ...]:
        """The stages of a list; those with a mistake are left out, and it is reported."""
        assert isinstance(items, list)
        self._prompts |= frozenset(_prompts(items))
        made = (self._stage(item, (*path, i)) for i, item in enumerate(items))
        return tuple(stage for stage in made if stage is not None)

    def _stage(self, item: _Item, path: Path) -> Stage | None:
        read = {
            "draw": self._draw,
            "generate": self._generate,
            "verify": self._verify,
            "keep": self._keep,
            "best": self._best,
            "unique": self._unique,
            "spread": self._spread,
            "rounds": self._rounds,
            "say": self._say,
        }[item["do"]]
        before = self._report.errors
        when = self._condition(item, "when", path)
        made: Stage | None = read(item, path, when)
        return made if self._report.errors == before else None

    def _draw(self, item: _Item, path: Path, when: Template | None) -> Draw | None:
        try:
            return Draw(draws(item["writes"], self._folder.files), when=when)
        except BrokenDraw as wrong:
            place = self._tree.span((*path, "writes", *wrong.path))
            self._report.add(
                P210, str(wrong), place, "see the sources in docs/writing-pipelines.md"
            )
            return None

    def _verify(self, item: _Item, path: Path, when: Template | None) -> Verify | None:
        code = self._code(item, path, D515)
        said = {kind: item[kind] for kind in KINDS if kind in item}
        if len(said) > 1:
            message = f"one checker is enough: {', '.join(said)}"
            self._report.add(P211, message, self._tree.span(path), "write a stage for each")
            return None
        try:
            made = checker(said, self._folder.files) if said else None
        except BrokenChecker as wrong:
            place = self._tree.span((*path, *wrong.path))
            self._report.add(P211, str(wrong), place, "see docs/verify.md")
            return None
        return Verify(made, code, str(item.get("writes", "")), when=when)

    def _keep(self, item: _Item, path: Path, when: Template | None) -> Keep | None:
        condition = self._condition(item, "if", path)
        code = self._code(item, path, D515)
        because = self._text(item, "because", path) if "because" in item else None
        return Keep(condition, code, because, when=when) if condition else None

    def _best(self, item: _Item, path: Path, when: Template | None) -> Best | None:
        by = self._expression(item["by"], (*path, "by"))
        inside = self.stages(item["stages"], (*path, "stages"))
        return Best(item["of"], by, inside, bool(item.get("pair")), when=when) if by else None

    def _unique(self, item: _Item, path: Path, when: Template | None) -> Unique:
        of = item["of"]
        by = str(item.get("by", "exact"))
        return Unique(
            tuple(of) if isinstance(of, list) else (of,),
            by,
            item.get("below", {"near": 0.85, "rouge-l": 0.7}.get(by, 1.0)),
            tuple(item.get("against", ("leaf", "siblings", "held-out"))),
            str(item.get("differs", "")),
            str(item.get("within", "")),
            self._code(item, path, D503 if by in ("exact", "text") else D516),
            when=when,
        )

    def _spread(self, item: _Item, path: Path, when: Template | None) -> Spread:
        return Spread(item["column"], item["writes"], int(item.get("most", 1000)), when=when)

    def _rounds(self, item: _Item, path: Path, when: Template | None) -> Rounds:
        inside = self.stages(item["stages"], (*path, "stages"))
        return Rounds(
            item["number"],
            item["over"],
            inside,
            item.get("calls", 1),
            item.get("each", 0),
            when=when,
        )

    def _say(self, item: _Item, path: Path, when: Template | None) -> Say | None:
        turns: list[tuple[str, str, Path, _Item]] = [
            (role, item[role], (*path, role), {}) for role in _ROLES if role in item
        ]
        turns += [
            (one["role"], one["text"], (*path, "messages", i, "text"), one)
            for i, one in enumerate(item.get("messages", ()))
        ]
        if turns[-1][0] != "assistant":
            place = self._tree.span(turns[-1][2])
            self._report.add(
                P205, "the last message is not the assistant's", place, "end with the answer"
            )
            return None
        made = []
        for role, text, at, one in turns:
            compiled = self._compiled(text, role, at)
            condition = self._condition(one, "when", at[:-1]) if "when" in one else None
            if compiled:
                made.append(Turn(role, compiled, condition))
        return Say(tuple(made), bool(item.get("unmask")), when=when)

    def _generate(self, item: _Item, path: Path, when: Template | None) -> Generate | None:
        writes = item["writes"]
        prompt = self._template(str(item["prompt"]), path, writes)
        if prompt is None:
            return None
        packs = []
        for code, name in self._packs(str(item["prompt"]).removesuffix(".j2")):
            pack = self._template(name, path, writes)
            packs += [(code, pack)] if pack else []
        fields = tuple(
            Field(str(name), tuple(kind) if isinstance(kind, list) else ())
            for name, kind in writes.items()
        )
        form = str(item.get("reply", "tags"))
        if form == "choice" and (item.get("many") or [bool(f.choices) for f in fields] != [True]):
            self._report.add(
                P205,
                "a reply that is a choice fills one column with choices",
                self._tree.span((*path, "reply")),
                "write one column with a list of choices, or take `reply: tags`",
            )
            return None
        return Generate(
            str(item["id"]),
            prompt,
            fields,
            bool(item.get("many")),
            bool(item.get("judge")),
            Sampling(**(item.get("sampling") or {})),
            form,
            tuple(packs),
            item.get("most", 0),
            when=when,
        )

    def _packs(self, stem: str) -> list[tuple[str, str]]:
        """The codes and names of the templates beside `STEM.j2` for other languages."""
        found = []
        for name in sorted(set(self._folder.files) - self._prompts):
            code = name.removeprefix(f"{stem}.").removesuffix(".j2")
            if name != f"{stem}.{code}.j2" or "." in code:
                continue
            if _CODE.fullmatch(code):
                found.append((code, name))
            if code not in NAMES and not (_CODE.fullmatch(code) and len(code) == 2):
                known = {**{word.casefold(): one for one, word in NAMES.items()}, **_SAME}
                near = known.get(nearest(code.casefold(), list(known)), "")
                hint = f"did you mean `{stem}.{near}.j2`?" if near else "use a code such as `de`"
                message = f"`{name}` is for no language that is known"
                self._report.add(P205, message, Span(self._folder.place(name)), hint, soft=True)
        return found

    def _template(self, name: str, path: Path, writes: Mapping[str, object]) -> Template | None:
        """A template file of the folder, compiled."""
        if name not in self._folder.files:
            self._report.add(
                P206,
                f"there is no `{name}` in the folder",
                self._tree.span((*path, "prompt")),
                "name a template file that lies beside `pipeline.yaml`",
            )
            return None
        shown = self._folder.place(name)
        try:
            text = self._folder.files[name].decode("utf-8")
        except UnicodeDecodeError as wrong:
            self._report.add(
                S005, f"the template is not UTF-8: {wrong.reason}", Span(shown), "save it as UTF-8"
            )
            return None
        self._report.texts[shown] = text
        try:
            return compile_prompt(shown, text, map(str, writes))
        except jinja2.TemplateSyntaxError as wrong:
            hint = f"mend line {wrong.lineno} of the template"
            self._report.add(P203, str(wrong.message), _line(shown, text, wrong.lineno), hint)
            return None

    def _condition(self, item: _Item, key: str, path: Path) -> Template | None:
        if key not in item:
            return None
        try:
            return compile_condition(str(item[key]))
        except jinja2.TemplateSyntaxError as wrong:
            place = self._tree.span((*path, key))
            self._report.add(P203, str(wrong.message), place, "mend the expression")
            return None

    def _expression(self, text: str, path: Path) -> Template | None:
        try:
            return compile_expression(str(path[-1]), text)
        except jinja2.TemplateSyntaxError as wrong:
            place = self._tree.span(path)
            self._report.add(P203, str(wrong.message), place, "mend the expression")
            return None

    def _text(self, item: _Item, key: str, path: Path) -> Template | None:
        return self._compiled(str(item[key]), key, (*path, key))

    def _compiled(self, text: str, name: str, path: Path) -> Template | None:
        try:
            return compile_template(name, text)
        except jinja2.TemplateSyntaxError as wrong:
            hint = "mend the expression"
            self._report.add(P203, str(wrong.message), self._tree.span(path), hint)
            return None

    def _code(self, item: _Item, path: Path, default: Code) -> Code:
        """The D code that `else:` names."""
        if "else" not in item:
            return default
        code = CATALOGUE.get(str(item["else"]))
        if code is None or code.severity is not Severity.DROP:
            self._report.add(
                P207,
                f"`{item['else']}` is not the number of a D code",
                self._tree.span((*path, "else")),
                "write one that `trivium explain` lists, such as `D511`",
            )
            return default
        return code


_ROLES = ("system", "user", "assistant")
_CODE = re.compile("[a-z]{2,3}")
_SAME = {code: code for code in NAMES}


def _prompts(items: Iterable[_Item]) -> Iterator[str]:
    """The templates that the stages name, those inside of others too."""
    for item in items:
        yield str(item.get("prompt", ""))
        yield from _prompts(item.get("stages", ()))


def _line(path: str, text: str, number: int) -> Span:
    """A whole line of a template, without its indent."""
    line = (text.splitlines() or [""])[min(number, len(text.splitlines()) or 1) - 1]
    start = len(line) - len(line.lstrip()) + 1
    return Span(path, number, start, number, max(start, len(line)) + 1)
