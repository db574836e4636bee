"""Checks of texts that are meant for the machine: orders to a teacher or a judge, and the marks of
templates and chats.

Our own prompts make the marks harmless (`prompt.fence`). The checks are for the people who read a
change, for the tools that come after us, and for orders, which no bracket can make harmless. They
would rather miss one than cry wolf.
"""

import re
import unicodedata
from collections.abc import Iterator

from compiler import codes
from compiler.check.finding import Finding, Findings
from compiler.check.look import Look, short
from compiler.check.search import Hit, Sought, hits, place
from compiler.codes import Code
from compiler.delimiters import BRACKETS, CHAT, TAGS, tag_start


def _order(words: tuple[str, ...], source: str) -> Sought:
    return Sought(words, source, re.I | re.M | re.X, before=40, after=120)


_ITEM = r"(?:answer|question|pair|sample|response|reply|example|exercise|output|submission)"
_NUMBER = r"[0-9]{1,2}\b (?!\s*(?:[-–/.,]\s*[0-9]|%|to\b|out\s|or\b|and\b|stars?\b))"
_JUDGED = r"(?:supported|faithful|standalone|fitting)\b"
_BEST = r"(?:highest|maximum|top|full|perfect)\s+(?:score|rating|grade|mark)s?\b"
_JUDGE = r"(?:judge|grader|evaluator|llm|language\s+model|ai\s+model|teacher\s+model)s?"

_TAKEN_BACK = _order(
    ("ignor", "disregard", "forget", "overrid"),
    r"""\b(?:ignor(?:e|ing)|disregard|forget|overrid(?:e|ing))\s+
    (?:(?:all|any|every|of|the|your|my|these|those|this|that|other|and)\s+){0,5}
    (?:(?:previous|prior|above|preceding|earlier|foregoing|initial|original|system)\s+
       (?:\w+\s+){0,2}(?:instruction|prompt|rule|direction|command|guideline|message)s?\b
    |(?:instruction|prompt)s?\s+(?:above|before|that\s+came|you\s+were)\b
    |everything\s+(?:\w+\s+){0,3}(?:above|before|previously)\b)
    |\bignor\w+\s+(?:\w+\s+){0,3}(?:
       (?:vorherig|bisherig|obig|früher|vorangehend)\w*\s+(?:anweisung|instruktion|regel)\w*
    |(?:instructions|consignes)\s+(?:précédentes|antérieures|ci-dessus)
    |(?:instrucciones|instruções|istruzioni)\s+(?:anteriores|previas|prévias|precedenti))""",
)
_VERDICT = _order(
    ("e this", "mark this", "answer yes"),
    rf"""(?:^|[.!?:;,("'\n>]\s*|\b(?:please|must|should|always|now|then|and|only|just)\s+)
    (?P<said>(?:rate|score|grade|mark|judge|evaluate)\s+this(?:\s+{_ITEM})?\s+
       (?:as\s+|with\s+|at\s+)?(?:an?\s+|the\s+)?["'`*]*(?:{_NUMBER}|{_JUDGED}|{_BEST})
    |give\s+this\s+{_ITEM}\s+(?:an?\s+|the\s+)?
       (?:(?:score|rating|grade|mark)\s+of\s+{_NUMBER}|{_BEST})
    |(?:always|only|just)\s+answer\s+["'`*]*yes\b
       (?!\W{{0,3}}(?:or\W{{0,3}})?no\b)(?=\W*(?:\Z|\n|to\s)))""",
)
_TO_THE_MACHINE = _order(
    ("judge", "grader", "evaluator", "llm", "system prompt", "are now "),
    rf"""\b(?:(?:note|message|instructions?|reminder)\s+(?:to|for)\s+|attention,?\s+)
       (?:the\s+|all\s+|any\s+)?(?:ai\s+)?{_JUDGE}\s*[:,!—-]
    |\byou\s+are\s+now\s+(?:in\s+)?(?:dan\b|(?:developer|god|unrestricted)\s+mode|jailbroken)
    |\b(?:reveal|print|show|repeat|output|leak)\s+(?:me\s+)?(?:your|the)\s+(?:\w+\s+)?
       system\s+prompt
    |^[ \t\[<\#]*system\s+prompt[\]>]?\s*:""",
)
_TAKEN_BACK_IN_OTHER_LETTERS = _order(
    ("игнорируй", "忽略", "无视", "無視", "忘れ"),
    r"""игнорируй\w*\s+(?:\w+\s+)?(?:предыдущ|прошл)\w+\s+(?:инструкц|указан|команд)\w+
    |(?:忽略|无视|無視)(?:所有|全部|以上|之前|前面|上述|先前|的){1,4}(?:指令|指示|提示|规则|規則)
    |(?:これまで|上記|以前|以上)の(?:すべての|全ての)?(?:指示|命令|プロンプト)を(?:無視|忘れ)""",
)
_VERDICT_LINE = _order(
    ("score", "rating"),
    rf"""^[ \t>*\#-]*(?:final[ \t]+)?(?:score|rating)[ \t*]*[:=][ \t*"'`]*
    (?:[0-5](?:[ \t]*/[ \t]*[35])?|{_JUDGED}|yes)[ \t*"'`.]*$""",
)
_ORDERS = (
    (_TAKEN_BACK, "takes back what a prompt says"),
    (_TAKEN_BACK_IN_OTHER_LETTERS, "takes back what a prompt says"),
    (_VERDICT, "asks for a verdict"),
    (_TO_THE_MACHINE, "speaks to the machine"),
)
_TAG = rf"(?i){tag_start(TAGS)}[^<>\n]{{0,60}}>?"
_CHAT_TOKEN = rf"(?i)(?:{CHAT})[^\n]{{1,66}}?[>＞﹥\]]"
_MARK = Sought((*BRACKETS, "["), rf"{CHAT}|{tag_start(TAGS)}", re.I)
# `{{ name }}` and `{% if %}`, but not `${{ name }}` of a workflow nor `{{1, 2}, {3}}` of a program.
_JINJA = r"(?<![\w$\\{}])\{\{-?[ \w.'\"()|*+\[\]-]{1,80}\}\}(?!\})|\{%[^%{}\n]{1,80}%\}"
# How letters of other widths and styles, which read the same as plain ones, begin in UTF-8.
_STYLED = (b"\xef\xbc", b"\xef\xbd", b"\xf0\x9d")
_CODE = r"(?s)```.*?(?:```|\Z)|`[^`\n]+`"


def prompt_injection(look: Look) -> Findings:
    """T150, once in each text."""
    hint = "delete it; if the leaf is about such orders, allow T150 for its path"
    return _told(look, codes.T150, _orders(look), hint)


def smuggled_delimiter(look: Look) -> Findings:
    """T151, once in each text; a leaf with a template in its code is about templates."""
    hint = "write it in words; if the leaf is about such marks, allow T151 for its path"
    return _told(look, codes.T151, _marks(look), hint)


def _told(look: Look, code: Code, found: Iterator[tuple[Hit, str]], hint: str) -> Findings:
    seen = set()
    for (at, match), does in found:
        if at not in seen:
            seen.add(at)
            group = "said" if "said" in match.re.groupindex else 0
            message = f"{short(match[group].strip())} {does}"
            yield Finding(code, message, place(look, (at, match), group), hint)


def _orders(look: Look) -> Iterator[tuple[Hit, str]]:
    joined = look.joined.lower()
    is_styled = not joined.isascii() and any(s in look.tree.file.data for s in _STYLED)
    if is_styled:
        joined = unicodedata.normalize("NFKC", joined)
    for order, does in _ORDERS:
        if order.is_in(joined):
            yield from ((hit, does) for hit in hits(look, order.pattern))
            for at, text in look.texts if is_styled else ():
                if found := order.pattern.search(unicodedata.normalize("NFKC", text)):
                    yield (at, found), does
    if _VERDICT_LINE.is_in(joined):
        lines = [hit for hit in hits(look, _VERDICT_LINE.pattern) if hit[0][-1] != "context"]
        if 2 * len({at for at, _ in lines}) < len(look.leaf.seeds):  # else it is the subject
            yield from ((hit, "reads like a verdict") for hit in lines)


def _marks(look: Look) -> Iterator[tuple[Hit, str]]:
    joined = look.joined
    if _MARK.is_in(joined):
        chats = hits(look, re.compile(_CHAT_TOKEN))
        yield from ((hit, "is a mark of a chat template") for hit in chats)
        yield from ((hit, "is a tag of the prompts") for hit in hits(look, re.compile(_TAG)))
    if "{{" in joined or "{%" in joined:
        bare = [
            (at, found)
            for at, text in look.texts
            for found in re.finditer(_JINJA, re.sub(_CODE, _blank, text))
        ]
        every = hits(look, re.compile(_JINJA))
        if len(bare) == sum(1 for _ in every):  # else the leaf is about templates
            yield from ((hit, "is a mark of a template") for hit in bare)


def _blank(code: re.Match[str]) -> str:
    return " " * len(code[0])
