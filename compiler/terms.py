"""A text goes in; its words come out, in every script; beside it stand the words that say nothing.

A file of its own because rules that read texts must agree on what a word is. What is compared by
hash has words of its own (`compiler.leaf.words`).
"""

import re
import unicodedata
from functools import lru_cache

from compiler.language import FREQUENT as FREQUENT

# Scripts that part no words by spaces: each of their letters counts as a word.
_UNPARTED = (
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_TOKEN = re.compile(rf"[{_UNPARTED}]|[^\W_{_UNPARTED}]+(?:['’][^\W_]+)?")
_MORE = (
    "i you your yours my mine our ours us him her his she them himself itself do did done will "
    "shall may might must into out off up down about than then there here also just very some any "
    "such only own same other each few more most both all between through during before after"
    " above "
    "below under again once while because until against been being having am i'm i've it'll ich du "
    "mich mir dir dich uns ihr ihn ihm sein seine mein je tu te nous vous mon ma mes ton yo tú "
    "mi nosotros eu meu minha nós io noi ik jij jullie jag ja"
)
STOP = frozenset(f"{' '.join(FREQUENT.values())} {_MORE}".split())
"""Words that say nothing alone, of the languages that `compiler.language` tells apart."""


def phrases(text: str) -> str:
    """A pattern for any of the phrases that stand in `text` between commas, as whole words. A
    phrase is a pattern itself, without a comma.
    """
    return rf"\b(?:{'|'.join(' '.join(one.split()) for one in text.split(','))})\b"


@lru_cache(maxsize=8)
def tokens(text: str) -> list[str]:
    """The words of a text in folded case; a script without spaces gives its letters."""
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold().replace("’", "'"))
