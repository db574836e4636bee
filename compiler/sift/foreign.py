"""A sample goes in; a part of it that is in another language than its leaf comes out (D537).

A file of its own because what the language of a leaf is takes a decision: the one that its route
names, else the one that its seeds are in. A leaf whose seeds are in several, such as one about
translation, mixes them on purpose.
"""

from collections.abc import Iterator

from compiler.codes import D537
from compiler.expand import Sample
from compiler.language import NAMES, language
from compiler.sift.look import Found, Look

_LEAST = 2
# What `language` says of the languages that it knows by their script, or by their small words.
_SAID = {
    "ar": "Arabic letters",
    "bn": "Bengali letters",
    "el": "Greek",
    "he": "Hebrew letters",
    "hi": "Devanagari letters",
    "ja": "Chinese or Japanese",
    "ko": "Korean",
    "ru": "Cyrillic letters",
    "ta": "Tamil letters",
    "th": "Thai",
    "uk": "Cyrillic letters",
    "zh": "Chinese or Japanese",
    **{code: NAMES[code] for code in "de en es fr id it nl pl pt sv tr".split()},
}


def foreign_language(sample: Sample, look: Look) -> Iterator[Found]:
    """D537, where `language` is on; a text too short to be sure of is in no language.

    Where the leaf is in a language that cannot be told, only English is foreign for sure.
    """
    if not look.settings.language:
        return
    known, code = set(look.languages), sample.origin.language
    if code and len(known) < _LEAST:
        known = {_SAID.get(code, "")}
    elif sum(look.languages.values()) < _LEAST:
        return
    for part, text in (("question", sample.question), ("answer", sample.answer)):
        said = language(text)
        if said and said not in known and ("" not in known or said == _SAID["en"]):
            here = " or ".join(sorted(known - {""})) or f"`{code}`"
            yield Found(D537, f"the {part} is in {said}, the leaf in {here}")
