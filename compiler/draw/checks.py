"""What templates and conditions may ask of a text beside Jinja's own filters and tests.

A file of its own because these are names that contributors write in their pipelines.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping

from compiler.draw.code import completed, parses, same_code
from compiler.draw.tokens import tokens
from compiler.refusal import is_empty, is_refusal


def words(text: object) -> int:
    """The number of words; of a script without spaces each character counts."""
    return len(tokens(str(text)))


def grew(text: object, parent: object) -> int:
    """By how many words a text is longer than its parent; negative where it shrank."""
    return words(text) - words(parent)


def missing(text: object, required: object) -> list[str]:
    """Those of the required words, or phrases, that a text does not have.

    A word counts where it stands as a whole word, in small or large letters, and in this form: the
    plural of it is another word. One without a letter or digit counts where it stands at all, an
    empty one nowhere.
    """
    listed = (
        [required] if isinstance(required, str) or not isinstance(required, Iterable) else required
    )
    said = f" {' '.join(tokens(str(text)))} "
    return [word for word in map(str, listed) if not _stands(word, str(text), said)]


def _stands(word: str, text: str, said: str) -> bool:
    parts = tokens(word)
    if parts:
        return f" {' '.join(parts)} " in said
    return bool(word.strip()) and word.strip() in text


def holds_all(text: object, required: object) -> bool:
    """Whether a text has every one of the required words (see `missing`), empty ones aside."""
    return not any(word.strip() for word in missing(text, required))


def starts_like(text: object, others: Iterable[object]) -> bool:
    """Whether the first character, white space aside, is a letter of a script that one of the other
    texts has, or a digit.
    """
    first = str(text).lstrip()[:1]
    known = {_script(character) for other in others for character in str(other)}
    return first.isdigit() or (first.isalpha() and _script(first) in known)


def _script(character: str) -> str:
    """The first word of a letter's Unicode name, such as `ARABIC`; "" for what is no letter."""
    if not character.isalpha():
        return ""
    return unicodedata.name(character, "").split("-")[0].split(" ")[0]


def starts_with_letter(text: object) -> bool:
    """Whether the first character, white space aside, is a letter of any script."""
    return str(text).lstrip()[:1].isalpha()


FILTERS: Mapping[str, Callable[..., object]] = {
    "words": words,
    "grew": grew,
    "missing": missing,
    "completed": lambda problem, solution: completed(str(problem), str(solution)),
}
"""Jinja filters: `question | grew(parent) <= 20`."""

TESTS: Mapping[str, Callable[..., bool]] = {
    "holds_all": holds_all,
    "starts_like": starts_like,
    "starts_with_letter": starts_with_letter,
    "same_code": lambda problem, solution: same_code(str(problem), str(solution)),
    "parses": lambda text: parses(str(text)),
    "refusal": lambda answer, question: is_refusal(str(question), str(answer)),
    "empty": lambda answer: is_empty(str(answer)),
}
"""Jinja tests: `answer is holds_all(words)`, `answer is not refusal(question)`."""
