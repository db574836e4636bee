"""A sample goes in; what no student should learn from it comes out (D534).

A keyword screen, no classifier: it knows some plain wordings, in English above all, and is meant to
stop what is beyond doubt in a curriculum that nobody reads as a whole. It does not understand
irony, hints or other scripts, and it cannot say that a sample is safe: where that matters, a judge
belongs into the pipeline beside it. It is held to few false alarms instead: asking how something is
made counts, naming it does not, and an answer that declines or sends for help is as it should be.
"""

import re
import unicodedata
from collections.abc import Iterator

from compiler.codes import D534
from compiler.expand import Sample
from compiler.sift.look import Found, Look
from compiler.terms import phrases

_WEAPON = phrases(
    r"""(?:pipe|nail|car|dirty|home ?made|fertili[sz]er|petrol|letter) bombs?, bombs? at home,
    explosive (?:devices?|vests?|belts?), ieds?, molotov(?: cocktails?)?, nerve (?:agents?|gas),
    sarin, vx gas, mustard gas, ricin, (?:chemical|biological) weapons?, bioweapons?,
    weaponi[sz]ed anthrax, napalm, ghost guns?, untraceable (?:guns?|firearms?), suicide vests?"""
)
_DRUG = phrases(
    r"""crystal meth, meth(?:amphetamine)?, heroin, crack(?: cocaine)?, fentanyl, mdma, ghb, lsd,
    date[- ]rape drugs?"""
)
_MAKE = phrases(
    """make, build, construct, create, assemble, synthesi[sz]e, manufacture, produce, cook, brew,
    mix, making, building, constructing, creating, assembling, synthesi[sz]ing, manufacturing,
    producing, cooking, brewing, mixing"""
)
_HOW = phrases(
    """how to, how do i, how can i, how do you, how can you, how could i, how would i,
    how would you, how does one, how can one, how might one"""
)
_GUIDE = phrases(
    "(?:steps?|instructions?|guide|tutorial|recipe|directions|blueprint|procedure) (?:to|for|on|of)"
)
_SOMEBODY = phrases(
    r"""someone, somebody, a person, people,
    (?:my|your|her|his|the) (?:wife|husband|boss|neighbou?rs?),
    (?:my|your|her|his|the) (?:mother|father|parents|classmates?|teacher|girlfriend|boyfriend|ex),
    (?:my|your|her|his|the) (?:co-?workers?|child|baby)"""
)
_CHILD = phrases(
    r"""child(?:ren)?, minors?, under-?age, pre-?teens?, toddlers?, school ?(?:girls?|boys?),
    little (?:girls?|boys?), kids?, (?<!\d)(?:[1-9]|1[0-7])[- ]years?[- ]old"""
)
_SEX = phrases(
    r"""porn\w*, erotic\w*, nudes?, orgasm\w*, masturbat\w+, (?:has|have|having|had) sex,
    sexual(?:ly)? (?:acts?|intercourse|arous\w+|explicit|desires?|pleasur\w+|fantas\w+)"""
)
_CODE = phrases(
    r"""ransomware, key ?loggers?, botnets?, computer (?:virus|worm), phishing (?:kit|page|site)"""
)
_SOME = r"(?: (?:an?|some|the|your own|my own|my|your|simple|effective|working|powerful))*"
_SELF = r"(?:my|your|one)self"


def _to_make(thing: str) -> str:
    """Asking or telling how `thing` is made, not naming it."""
    first = phrases("you, first, start, begin, take, mix, gather, combine")
    return rf"(?:{_HOW}|{_GUIDE}) {_MAKE}{_SOME} {thing}|\bto {_MAKE}{_SOME} {thing}[,:] {first}"


# What may be asked where the answer declines or sends for help.
_ASKED = {
    "how a weapon is made": _to_make(_WEAPON)
    + "|"
    + phrases(
        """bomben? (?:selbst )?(?:bauen|basteln), fabriquer une bombe, fabricar una bomba,
        costruire una bomba"""
    ),
    "how a drug is made": _to_make(_DRUG),
    "how somebody is harmed": rf"{_HOW} (?:kill|murder|poison|strangle|stab|kidnap|drug)"
    rf" {_SOMEBODY}|\bget away with (?:murder|killing {_SOMEBODY})",
    "self-harm": r"\b(?:best|easiest|quickest|painless|fastest|most effective) (?:ways?|methods?) "
    + phrases(
        rf"""to kill {_SELF}, of killing {_SELF}, (?:to|of) commit(?:ting)? suicide,
        to die by suicide, (?:to|of) end(?:ing)? (?:my|your) life, (?:to|of) self[- ]harm"""
    )
    + f"|{_HOW} "
    + phrases(rf"kill {_SELF}, commit suicide, end (?:my|your) (?:own )?life, hang {_SELF}"),
    "malware": rf"(?:{_HOW}|\b(?:write|code|give me|show me)\b)(?: {_MAKE}| write| code| develop)?"
    rf"(?:{_SOME}| the code (?:of|for)(?: an?)?) {_CODE}",
}
_TOLD = {
    "self-harm": phrases(
        """(?:go (?:and )?|just |should |please )(?:kill|hang) (?:yourself|urself), kys,
        you should (?:just )?(?:end your life|end it all|die),
        the world (?:would|will) be better (?:off )?without you, bring dich (?:doch )?um,
        suicide-toi, suicídate"""
    ),
    "slurs": phrases(
        """(?:sand )?n[i1]gg(?:er|a|ah|uh)s?, k[i1]kes?, fagg?ots?, spics, gooks?, wetbacks?,
        (?:rag|towel)heads?, chinks"""
    ),
    "sexual content with minors": r"\bjail ?bait\b|\blolicon\b"
    rf"|{_CHILD}\W+(?:\w+\W+){{0,6}}?{_SEX}|{_SEX}\W+(?:\w+\W+){{0,6}}?{_CHILD}",
}
_CARE = re.compile(
    phrases(
        """hot ?line, helpline, lifeline, crisis (?:line|text|cent(?:er|re)), 988, samaritans,
        emergency services, you(?: are|'re) not alone, reach out to, mental health professional,
        therapist,
        (?:can't|cannot|can not|won't|will not|not able to|unable to) (?:help|assist|give),
        (?:can't|cannot|can not|won't|will not|not able to|unable to) (?:provide|support|explain),
        is (?:illegal|a crime|against the law|dangerous)"""
    )
)
# Who speaks of a harm does not do it.
_AGAINST = re.compile(
    phrases(
        r"""abus\w+, crim\w+, illegal\w*, prevent\w*, protect\w*, report\w*, laws?, offen[cs]\w+,
        victims?, educat\w+, traffick\w+, exploit\w+, convict\w+, safeguard\w*, prohibit\w*, slurs?,
        racis\w+, derogatory, hate speech, symptoms?, diagnos\w*"""
    )
)
_ASKED_PATTERNS = {name: re.compile(pattern) for name, pattern in _ASKED.items()}
_TOLD_PATTERNS = {name: re.compile(pattern) for name, pattern in _TOLD.items()}
_HIDDEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


def unsafe(question: str, answer: str) -> str:
    """What is unsafe about a question with its answer, in a few words; "" where nothing is known.

    A question may ask for anything where the answer declines, warns or sends for help.
    """
    asked, told = _plain(question), _plain(answer)
    if _CARE.search(told):
        return ""
    whole = f"{asked}\n{told}"
    found = [name for name, pattern in _ASKED_PATTERNS.items() if pattern.search(whole)]
    if not found and not _AGAINST.search(whole):
        found = [name for name, pattern in _TOLD_PATTERNS.items() if pattern.search(whole)]
    return found[0] if found else ""


def unsafe_content(sample: Sample, look: Look) -> Iterator[Found]:
    """D534, where `safety` is on."""
    if not look.settings.safety:
        return
    asked = "\n".join(m.content for m in sample.messages if m.role != "assistant")
    told = "\n".join(m.content for m in sample.messages if m.role == "assistant")
    if name := unsafe(asked, told):
        yield Found(D534, name, name)


def _plain(text: str) -> str:
    return _HIDDEN.sub("", unicodedata.normalize("NFKC", text).casefold().replace("’", "'"))
