"""A text goes in; its words come out, in the scripts of all languages.

A file of its own because required words, word counts and growth must mean the same thing by a word.
"""

import re
import unicodedata
from functools import cache
from typing import Any

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\u30fc\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Scripts that are written without spaces between words, as a class of the module `regex`."""


def tokens(text: str) -> list[str]:
    """The words of `text` in folded case and form NFC, numbers whole.

    Of a script without spaces each character is a word, with the marks on it.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    found: list[str] = _pattern().findall(folded)
    return found


@cache
def _pattern() -> re.Pattern[str]:
    import regex  # it takes as long to load as all else that a template needs

    word = rf"[\w--[{UNSPACED}]]+"
    made: Any = regex.compile(
        rf"[{UNSPACED}]\p{{M}}*|{word}(?:['’]{word}|(?<=\d)[.,]\d+)*", regex.V1
    )
    return made  # type: ignore[no-any-return]
