"""What a sample has to be, whatever others are: the rules that look at one sample alone, in order.

A file of its own because the list is what a maintainer wants to see; each rule has its own file.
"""

from collections.abc import Iterator

from compiler.codes import D502
from compiler.expand import Sample
from compiler.leaf import words
from compiler.sift.factoid import factoid
from compiler.sift.foreign import foreign_language
from compiler.sift.grounding import ungrounded
from compiler.sift.look import Found, Look, Rule, is_human
from compiler.sift.personal import personal_content
from compiler.sift.refusal import refusal
from compiler.sift.safety import unsafe_content


def short(sample: Sample, look: Look) -> Iterator[Found]:
    """D502; of a person's seed only where a part is empty, for `!=` may be all there is to say."""
    for part, least in (
        ("question", look.settings.min_question_words),
        ("answer", look.settings.min_answer_words),
    ):
        text = getattr(sample, part)
        number = len(words(text))
        if is_human(sample):
            if not text.strip():
                yield Found(D502, f"the {part} is empty")
        elif number < least:
            yield Found(D502, f"the {part} has {number} of at least {least} words")


RULES: tuple[Rule, ...] = (
    refusal,
    foreign_language,
    unsafe_content,
    personal_content,
    factoid,
    ungrounded,
)
"""What only a synthetic sample has to keep, beside `short`, which looks at every sample."""
