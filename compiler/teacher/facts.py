"""A passage goes in; facts come out: each an answer, and several ways to ask for it.

Rules over single English sentences, after the oldest idea of automatic question generation (Heilman
and Smith, "Good Question!", NAACL 2010): a sentence that defines, counts, explains or lists
something answers a question that can be read off its form. Everything else becomes a sentence to
complete. No model is involved.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """`forms` are questions with the same `answer`, best first."""

    forms: tuple[str, ...]
    answer: str


_SHORTEST, _LONGEST = 6, 40
_HANGING = re.compile(
    r"(It|Its|This|That|These|Those|They|Their|He|She|His|Her|We|You|Such|Both|Each of|Here|There|"
    r"However|But|And|Or|So|Then|Thus|Also|Instead|Otherwise|For example|In that|In this|In these|"
    r"One of them)\b"
)
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|Dr|Mr|Mrs|Ms|St|No|Fig|Inc|U\.S|[A-Z])\.$")
_NUMBERS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|fifty|hundred"
)
_NUMBER = re.compile(r"(?<![\w.,-])(\d[\d,.]*\d|\d|" + _NUMBERS + r")(?![\w-])(?!\.\d)")
_COMMON = frozenset(
    """
    about above after again all also among any are around because been before being between
    both but can could does each even every few first for from had has have here how into its
    itself just last less like made make many may might more most much must near never new not
    now off often one only other others our out over own same should since some such than that
    the their them then there these they this those through too under until upon very was well
    were what when where which while who whose why will with within without would yet you your
    """.split()
)
_VERBS = {
    "allows": "allow",
    "asks for": "ask for",
    "carries": "carry",
    "contains": "contain",
    "covers": "cover",
    "demands": "demand",
    "depends on": "depend on",
    "describes": "describe",
    "forbids": "forbid",
    "gives": "give",
    "holds": "hold",
    "includes": "include",
    "keeps": "keep",
    "measures": "measure",
    "needs": "need",
    "permits": "permit",
    "protects": "protect",
    "provides": "provide",
    "records": "record",
    "reduces": "reduce",
    "removes": "remove",
    "requires": "require",
    "shows": "show",
    "tells": "tell",
    "turns": "turn",
    "uses": "use",
}


def facts(passage: str) -> tuple[Fact, ...]:
    """The facts of a passage, what a rule of meaning found before plain completions; no two share a
    question.
    """
    found: list[Fact] = []
    asked: set[str] = set()
    standing = list(sentences(passage))
    candidates = (fact for sentence in standing for fact in _facts_of(sentence, passage))
    completions = (_completion(sentence) for sentence in standing)
    for fact in (*candidates, *_tables(passage), *completions):
        forms = tuple(form for form in fact.forms if form.casefold() not in asked)
        if forms:
            asked.update(form.casefold() for form in forms)
            found.append(Fact(forms, fact.answer))
    return tuple(found)


def _tables(passage: str) -> Iterator[Fact]:
    """A fact per cell of a Markdown table: the head of its column asked of the first cell of its
    row.
    """
    head: list[str] = []
    previous: list[str] = []
    for line in passage.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("|"):
            head, previous = [], []
        elif all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            head = previous
        elif head and len(cells) == len(head) and cells[0]:
            for name, cell in zip(head[1:], cells[1:], strict=True):
                if name and re.search(r"\w", cell):
                    forms = (
                        f"What is the {name} of {cells[0]}?",
                        f"For {cells[0]}, give the {name}.",
                    )
                    yield Fact(forms, _upper(cell.rstrip(".")) + ".")
        previous = cells


def sentences(passage: str) -> Iterator[str]:
    """The sentences of Markdown text that can stand alone."""
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+\.)\s)", passage):
        lines = [line.strip() for line in block.splitlines()]
        if not lines or lines[0].startswith(("#", "|", ">", "```", "---")):
            continue
        text = re.sub(r"^(?:[-*+]|\d+\.)\s+", "", " ".join(lines))
        text = re.sub(r"\*\*|__|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)|`", "", text)
        yield from (s for s in _split(re.sub(r"\s+", " ", text)) if _stands_alone(s))


def _split(text: str) -> Iterator[str]:
    start = 0
    for stop in re.finditer(r"[.!?][\"”')\]]*\s+(?=[\"“'(]?[A-Z0-9])", text):
        sentence = text[start : stop.end()].strip()
        if not _ABBREVIATION.search(sentence):
            yield sentence
            start = stop.end()
    yield text[start:].strip()


def _stands_alone(sentence: str) -> bool:
    return (
        _SHORTEST <= len(sentence.split()) <= _LONGEST
        and sentence.endswith(".")
        and sentence[0].isupper()
        and not _HANGING.match(sentence)
        and sentence.count('"') % 2 == 0
        and sentence.count("(") == sentence.count(")")
    )


def _facts_of(sentence: str, passage: str) -> Iterator[Fact]:
    body = sentence.rstrip(".")
    for rule in (_listing, _definition, _meaning, _use, _cause, _deed):
        fact = rule(body, sentence, passage)
        if fact:
            yield fact
            break
    number = _number(body)
    if number:
        yield number


_SUBJECT = r"(?P<s>(?:(?:A|An|The|Every|Each) )?(?:[\w'’./-]+ ){0,5}[\w'’./-]+)"


def _definition(body: str, sentence: str, passage: str) -> Fact | None:
    found = re.match(rf"{_SUBJECT} (?P<v>is|are|was|were) (?:an? |the |any |one of )\w+", body)
    if not found or _is_clause(found["s"]):
        return None
    subject, verb = _inside(found["s"], passage), found["v"]
    forms = (
        f"What {verb} {subject}?",
        f"How would you define {subject}?",
        f"Explain in one sentence what {subject} {verb}.",
        f"Tell me what is meant by {subject}.",
    )
    return Fact(forms, sentence)


def _meaning(body: str, sentence: str, passage: str) -> Fact | None:
    found = re.match(rf"{_SUBJECT} (?P<v>means|refers to|stands for) \w+", body)
    if not found or _is_clause(found["s"]):
        return None
    subject = _inside(found["s"], passage)
    verb = {"means": "mean", "refers to": "refer to", "stands for": "stand for"}[found["v"]]
    forms = (
        f"What does {subject} {verb}?",
        f"Tell me what is meant by {subject}.",
        f"How would you define {subject}?",
    )
    return Fact(forms, sentence)


def _listing(body: str, sentence: str, passage: str) -> Fact | None:
    found = re.match(r"The (?P<s>(?:[\w'’-]+ ){1,9}?)are (?P<r>[^,]+(?:, [^,]+)* and [^,]+)$", body)
    if not found or _is_clause(found["s"]):
        return None
    subject = found["s"].strip()
    forms = (f"What are the {subject}?", f"Name the {subject}.", f"List the {subject}.")
    return Fact(forms, _upper(found["r"]) + ".")


def _use(body: str, sentence: str, passage: str) -> Fact | None:
    found = re.match(rf"{_SUBJECT} (?P<v>is|are) used (?:to|for|in) \w+", body)
    if not found or _is_clause(found["s"]):
        return None
    subject, verb = _inside(found["s"], passage), found["v"]
    forms = (
        f"What {verb} {subject} used for?",
        f"Say what {subject} {verb} good for.",
        f"Why would somebody use {subject}?",
    )
    return Fact(forms, sentence)


def _cause(body: str, sentence: str, passage: str) -> Fact | None:
    found = re.match(r"(?P<a>(?:[^,;:\s]+ ){2,18}[^,;:\s]+),? because (?P<b>.+)$", body)
    if not found:
        return None
    claim = _inside(found["a"], passage)
    forms = (
        f"Why is it that {claim}?",
        f"What is the reason that {claim}?",
        f"Give the cause: {claim}.",
    )
    return Fact(forms, f"Because {found['b']}.")


def _deed(body: str, sentence: str, passage: str) -> Fact | None:
    verbs = "|".join(_VERBS)
    found = re.match(rf"{_SUBJECT} (?P<v>{verbs}) (?P<r>\w+.*)$", body)
    if not found or _is_clause(found["s"]):
        return None
    subject = _inside(found["s"], passage)
    verb = _VERBS[found["v"]]
    return Fact((f"What does {subject} {verb}?", f"Say what {subject} {found['v']}."), sentence)


def _number(body: str) -> Fact | None:
    found = _NUMBER.search(body)
    if not found or found.start() == 0 or _NUMBER.search(body, found.end()):
        return None
    gap = body[: found.start()] + "____" + body[found.end() :]
    forms = (f"Which number is missing? {gap}.", f"Fill in the number: {gap}.")
    return Fact(forms, found[1])


def _completion(sentence: str) -> Fact:
    words = sentence.split()
    cut = max(4, len(words) * 2 // 5)
    if words[cut - 1].casefold() in (
        "a",
        "an",
        "the",
        "of",
        "to",
        "for",
        "in",
        "and",
        "or",
        "with",
    ):
        cut -= 1
    head, rest = " ".join(words[:cut]), " ".join(words[cut:])
    return Fact(
        (f"Complete the sentence: {head} ...", f"Finish what is begun here: {head} ..."), rest
    )


_CLAUSE = re.compile(
    r"\b(that|which|who|if|when|because|while|and|or|there|what|how|why|where|can|may|must|is|are|this|these|those|it)\b"
    r"| (not|only|often|also|then|therefore)$",
    re.IGNORECASE,
)
_NAMELESS = re.compile(
    r"(the|one|another|every|each|a|an)? ?"
    r"(name|method|author|other|others|first|second|third|last|latter|former|next|number|answer|reason|result|rest|same|"
    r"word|example|exception|aim|goal|idea|point|effect)",
    re.IGNORECASE,
)


def _is_clause(subject: str) -> bool:
    """Whether what looks like a subject is more than a noun phrase, or names nothing."""
    return bool(_CLAUSE.search(subject) or _NAMELESS.fullmatch(subject))


def _inside(phrase: str, passage: str) -> str:
    """The phrase as it stands inside a sentence: its capital goes unless the word seems to be a
    name.
    """
    first, _, rest = phrase.partition(" ")
    if any(c.isupper() or c.isdigit() for c in first[1:]) or first.endswith("'s"):
        return phrase
    stem = re.escape(first.lower().removesuffix("s"))
    seen_small = re.search(rf"(?<![\w-]){stem}s?(?![\w-])", passage)
    seen_name = re.search(rf"(?<=[a-z,] ){re.escape(first)}(?!\w)", passage)
    abstract = first.endswith(("tion", "ment", "ness", "ing", "ance", "ence", "ity"))
    if seen_small or first in _ARTICLES or ((rest[:1].islower() or abstract) and not seen_name):
        return f"{first.lower()} {rest}".strip()
    return phrase


_ARTICLES = {"A", "An", "The", "Every", "Each", "Some", "All", "Most", "No", "In", "At", "By", "To"}


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def content_words(text: str) -> frozenset[str]:
    """The words of `text` that carry meaning, lower case; numbers count."""
    words = re.findall(r"\w+(?:[.,]\d+)*", text.casefold())
    return frozenset(w for w in words if (len(w) > 2 or w.isdigit()) and w not in _COMMON)
