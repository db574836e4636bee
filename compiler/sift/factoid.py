"""A question and its answer go in; whether they are a passing fact comes out (D536).

A file of its own because it is the one rule that asks what a sample is for: a small student should
not spend its room on last week's scores where it is to learn to reason (Phi-3, arXiv 2404.14219,
section 2, which says so and gives no algorithm). This one is ours, for English and for what dates
and numbers show in any language. Knowledge leaves are exempt, since facts are what they are for.
"""

import re
from collections.abc import Iterator

from compiler.codes import D536
from compiler.expand import Sample
from compiler.sift.look import Found, Look
from compiler.terms import STOP, phrases, tokens

MOST_WORDS = 18

_MONTHS = """january|february|march|april|may|june|july|august|september|october|november|december
    |januar|februar|märz|mai|juni|juli|oktober|dezember|janvier|février|avril|juin|juillet|août|enero
    |febrero|marzo|mayo|junio|julio|agosto|octubre|noviembre|diciembre""".replace("\n    ", "")
_DATED = (
    r"(?<![\d.,])(?:1[5-9]|20)\d\d(?:[-–/]\d\d)?(?![\d.,]*\d)|\b\d{1,2}[-–:]\d{1,2}\b"
    rf"|\b(?:{_MONTHS}) \d{{1,2}}(?:st|nd|rd|th)?\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th|\.)? (?:of )?(?:{_MONTHS})\b"
)
_NOW = phrases(
    r"""today, yesterday, tonight, tomorrow, currently, current, latest, newest, recent, recently,
    as of, right now, at the moment, to date, these days, upcoming, reigning, incumbent,
    (?:last|this|next|past) (?:night|week|weekend|month|year|season),
    (?:last|this|next) (?:summer|winter|spring|autumn|fall),
    (?:last|this|next|on) (?:mon|tues|wednes|thurs|fri|satur|sun)day"""
)
_ONCE = phrases(
    r"""match(?:es)?, final, semi-?finals?, play-?offs?, season, league, cup, super bowl,
    championships?, tournament, grand prix, olympics?, medals?, elections?, elected, referendum,
    concert, tour, album, box office, premiered?, awards?, oscars?, grammys?, emmys?, nobel, prize,
    auction, shares?, stocks?, closing price, exchange rate, interest rate, inflation, ticket,
    price, cost, ranked, ranking, rank, standings, record, attendance, transfer fee, ceo, president,
    prime minister, mayor, coach, captain, champions?, contest, chart, episode, race, derby,
    tallest, richest, fastest, most[- ](?:followed|viewed|streamed|visited|downloaded|populous),
    followers, subscribers, population, how old is, born, died, founded, released, invented,
    discovered"""
)
_PASSING = re.compile(f"{_DATED}|{_NOW}|{_ONCE}")
_ASKS = re.compile(
    phrases(
        r"""who, whom, whose, when, where, which,
        how (?:many|much|old|tall|far|long|high|big|large), what's,
        what (?:was|is|were|are|did|does), what (?:year|date|day|time|month|score|price|team),
        what (?:country|city|club|company|place|rank|position|version|song|film|movie|percentage)"""
    )
    + r"|^(?:please )?(?:name|tell me|give|state|identify|list)\b"
    r"|^(?:wer|wann|wo|wie viele?|welche[rs]?|qui|quand|où|combien|quién|cuándo|dónde|cuánt[oa]s?)"
    r"\b"
)
# What has to be worked out, or is a task about words, is no fact to remember.
_REASONS = re.compile(
    phrases(
        r"""if, suppose, assum\w+, given, imagine, calculat\w+, comput\w+, convert\w*, solv\w+,
        estimat\w+, sum, average, mean, difference, total of, percent(?:age)? of, probability,
        likely, ratio, divided, times, plus, minus, explain, why, how (?:do|does|can|would|should),
        should, would, could, might, sentence, words?, paragraph, passage, text, phrase, grammar\w*,
        code, function, formula, equation, sequence, logic\w*, analog\w+, rhym\w+, creat\w+,
        format\w*, csv, extract\w*, summar\w+, translat\w+, compar\w+, higher, lower, larger,
        smaller, leap year, earlier, old will, each, per, apiece, when it is, passed, elapse\w*,
        (?:days?|weeks?|months?|years?|hours?|minutes?) (?:after|before|from|later|until|are),
        between (?:\w+ )?\d[^?]* and, from [^?]*\d[^?]* (?:to|until),
        how (?:much|many) (?:do|does|is|are|will) \d+"""
    )
    # A problem tells its numbers first; a span of years is to be counted.
    + r"|^[^?]*\d[^?.]*\.\s[^?]*\?|(?<!\d)[12]\d{3}(?![-–/\d])[^?]*(?<!\d)[12]\d{3}\b[^?]*how many"
)
_ARGUED = re.compile(
    phrases("because, therefore, so that, since, thus, hence, step, first, if, means that") + "|="
)
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|`[^`]*`")
_ENTITY = re.compile(r"\d|\b(?!I\b)[A-ZÄÖÜÉÁÓÚÎŠŽĆ][\w'’-]*|[぀-ヿ㐀-鿿가-힯]")


def is_factoid(question: str, answer: str) -> bool:
    """Whether a question asks who, when, where or how many about what is bound to a time or
    happened once, and the answer is a name or a number and no more.

    Not where it has to be worked out, or stands in the question.
    """
    asked = _QUOTED.sub(" ", question.replace("’", "'")).strip().casefold()
    told = answer.casefold()
    return (
        bool(_ASKS.search(asked))
        and bool(_PASSING.search(asked) or re.search(_DATED, told))
        and not _REASONS.search(asked)
        and len(answer.split()) <= MOST_WORDS
        and not _ARGUED.search(told)
        and bool(_ENTITY.search(answer))
        and not stands_in(answer, question)
    )


def stands_in(answer: str, text: str) -> bool:
    """Whether every word of the answer that says something is in the text."""
    there = set(tokens(text))
    told = [word for word in tokens(answer) if word not in STOP]
    return bool(told) and there.issuperset(told)


def factoid(sample: Sample, look: Look) -> Iterator[Found]:
    """D536, where `factoids` is `drop`; where it is `route`, of those without a context that holds
    the answer.
    """
    choice = look.settings.factoids
    if choice == "keep" or sample.branch == "knowledge":
        return
    if not is_factoid(sample.question, sample.answer):
        return
    if choice == "drop":
        yield Found(D536, "a passing fact", "factoid")
    elif not supports(sample.context, sample.question, sample.answer):
        yield Found(D536, "a passing fact, and no context that says it", "factoid")


def supports(context: str, question: str, answer: str) -> bool:
    """Whether a context says what the answer adds to the question."""
    return bool(context) and stands_in(answer, f"{context}\n{question}")
