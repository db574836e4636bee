"""A sample goes in; personal data and secrets that nobody gave for it come out (D535).

A file of its own because what counts as such is what `trivium check` says of a leaf (T152, T153).
"""

import re
from collections.abc import Iterator

from compiler.check.personal import mails_in, numbers_in
from compiler.check.secrets import SHAPES, group_of, is_real, may_hold_one
from compiler.codes import D535
from compiler.expand import Sample
from compiler.sift.look import Found, Look

_SHOWN = 3


def personal_content(sample: Sample, look: Look) -> Iterator[Found]:
    """D535, where `personal_data` is on; what the document says is no secret."""
    if not look.settings.personal_data:
        return
    texts = [*(message.content for message in sample.messages), sample.rejected]
    for hit, kind in _hits("\n".join(texts)):
        if hit not in look.text:
            yield Found(D535, f"`{hit[:_SHOWN]}…` looks like {kind}", hit)


def _hits(text: str) -> Iterator[tuple[str, str]]:
    """Every private piece of a text, and its kind."""
    for found, kind in (*mails_in(text), *numbers_in(text)):
        yield found[0], f"{kind} of a person"
    for name, marks, shape in SHAPES if may_hold_one(text) else ():
        if any(mark in text for mark in marks.split("|")):
            for found in filter(is_real, re.finditer(shape, text)):
                yield found[group_of(found)], name
