"""A licence as people write it goes in; whether one may train on it, and what one then owes, comes
out.

A file of its own because leaves, data sets that are mixed in and the teacher's own words all pass
the same gate. Licences have SPDX names (https://spdx.org/licenses); a way to write one that can
mean one licence only is understood. LAB (arXiv 2403.01081, section 3.1) gives only permissively
licensed text to the teacher.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from compiler.curriculum import LicenceSettings

LICENCES = (
    "Apache-2.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "MIT",
    "Public-Domain",
)
ALLOWED = frozenset(name.casefold() for name in LICENCES)
DENIED = "is denied by the settings"
_LONGEST = 200
_FORBIDS = {"nc": "forbids commercial use", "nd": "forbids changed copies"}
_SHARE_ALIKE = re.compile(
    r"(?i)(?:a|l)?gpl-|gfdl-|cc-by-sa-|cc-sa-|odbl-|cdla-sharing-|eupl-|mpl-|epl-|osl-|ms-rl"
)
_NO_NOTICE = frozenset("cc0-1.0 public-domain unlicense 0bsd mit-0 pddl-1.0 wtfpl".split())

# Whose terms do not let others train on what their models write: providers' terms of use, and the
# licences of Llama 2 and Llama 3 for any other model. A name that begins so is theirs.
_KEPT_BACK = (
    "anthropic",
    "claude",
    "gemini",
    "google-gemini",
    "gpt-3.5",
    "gpt-4",
    "gpt-5",
    "openai",
    "proprietary",
    "xai",
)
_ONLY_ITSELF = ("llama2", "llama-2", "llama3", "llama-3")
_NAMED_AFTER = ("llama3.", "llama-3.", "llama4", "llama-4")

_ADDRESS = r"(?i)(?:https?://)?[\w.-]+\.(?:org|com|net)/(?:\S*/)?([^/\s]+?)(?:\.\w{3,4})?/?"
_CREATIVE = r"(?i)\S*creativecommons\.org/(?:licenses|publicdomain)/([a-z-]+)(?:/(\d\.\d))?\S*"
_WORD = r"[a-z]+|\d+(?:\.\d+)*"
_PHRASES = (
    ("creative commons", "cc"),
    ("attribution", "by"),
    ("share alike", "sa"),
    ("sharealike", "sa"),
    ("non commercial", "nc"),
    ("noncommercial", "nc"),
    ("no derivatives", "nd"),
    ("noderivatives", "nd"),
    ("noderivs", "nd"),
    ("zero", "0"),
)
_EMPTY = frozenset(
    "a the v version license licence licensed international universal unported generic deed "
    "dedication software foundation".split()
)
_KEYS = {
    r"title of (?:the )?work": "title",
    r"link to (?:the )?work": "link",
    r"licen[cs]e of the work": "licence",
    r"creator names?": "creator",
}
_UNTOLD = r"(?i)[\W_]*(?:(?:unknown|none|n/?a|tbd|todo|not (?:known|sure|applicable))[\W_]*)?"


@dataclass(frozen=True, slots=True)
class Work:
    """A work that a leaf was made from, as its `attribution.txt` names it; "" for what it does not
    say.
    """

    title: str = ""
    link: str = ""
    licence: str = ""
    creator: str = ""


@dataclass(frozen=True, slots=True)
class Obligations:
    """What licences ask of those who pass a build on, as sorted SPDX names: to name the authors and
    keep the notice, and to share what is made of it alike.
    """

    attribution: tuple[str, ...] = ()
    share_alike: tuple[str, ...] = ()


def allowed(settings: LicenceSettings) -> frozenset[str]:
    """The names that may be trained on, in lower case; a denied one wins."""
    return (ALLOWED | _named(settings.allow)) - _named(settings.deny)


def _named(names: Iterable[str]) -> frozenset[str]:
    return frozenset(_spdx(name).casefold() for name in names)


def untold(text: str) -> bool:
    """Whether it names no licence at all, such as `unknown`."""
    return re.fullmatch(_UNTOLD, text) is not None


def denied(text: str, settings: LicenceSettings) -> str:
    """Why one may not train on what has this licence, "" where one may or where none is told."""
    if untold(text):
        return ""
    known = allowed(settings)
    names = refused(text, known)
    if names and names[0].casefold() in _named(settings.deny):
        return DENIED
    return fault(text, known)


def fault(text: str, known: Collection[str] = ALLOWED) -> str:
    """What is wrong with a licence that is told; "" where it is one of those `known`."""
    names = refused(text, known)
    if not names:
        return ""
    parts = names[0].casefold().split("-")
    for part, why in _FORBIDS.items():
        if parts[0] == "cc" and part in parts:
            return why
    if parts[0] == "cc" and not any(char.isdigit() for char in names[0]):
        return "has no version"
    return "is not on the list" if is_spdx(names[0]) else "is no SPDX name"


def kept_back(teacher: str) -> str:
    """Why one may not train on what a teacher of this licence writes; "" where one may.

    `teacher` is an SPDX name, a provider's or a model's, such as `OpenAI` or `llama3`.
    """
    name = _plain(teacher)
    if name.startswith(_KEPT_BACK):
        return "the provider's terms do not let other models learn from what it writes"
    if name.startswith(_ONLY_ITSELF) and not name.startswith(_NAMED_AFTER):
        return "it lets only Llama models learn from what it writes"
    parts = _spdx(teacher).casefold().split("-")
    if parts[0] == "cc" and "nc" in parts:
        return "it forbids commercial use"
    return ""


def withheld(settings: LicenceSettings) -> str:
    """Why one may not train on what the teacher writes, as its licence and the settings have it;
    "" where one may, or where no licence is told.
    """
    name = settings.teacher
    if why := kept_back(name):
        return why
    if _plain(name).startswith(_NAMED_AFTER):  # no SPDX name, and allowed
        settings = replace(settings, allow=(*settings.allow, name))
    why = denied(name, settings)
    return f"it {why}" if why else ""


def _plain(teacher: str) -> str:
    return teacher.strip().casefold().removeprefix("licenseref-").replace(" ", "-")


def works(attribution: str) -> tuple[Work, ...]:
    """The works that an `attribution.txt` names; each begins where a line says again what the last
    one has said.
    """
    found: list[dict[str, str]] = [{}]
    for line in attribution.removeprefix("\ufeff").splitlines():
        for key, name in _KEYS.items():
            if told := re.fullmatch(rf"(?i)\s*{key}\s*:\s*(.*?)\s*", line):
                if name in found[-1]:
                    found.append({})
                found[-1][name] = told[1]
    return tuple(Work(**said) for said in found if said)


def obligations(licences: Iterable[str]) -> Obligations:
    """What the licences of a build's sources ask for; of a choice, what its first name asks."""
    names = sorted({name for text in licences if not untold(text) for name in _names(text)})
    alike = tuple(name for name in names if _SHARE_ALIKE.match(name))
    return Obligations(tuple(n for n in names if n.casefold() not in _NO_NOTICE), alike)


def _names(text: str) -> list[str]:
    """The licences that hold at once: of a choice the first that is allowed, else the first."""
    text = _bare(text)
    choices = _choices(text)
    if len(choices) > 1:
        return _names(next((one for one in choices if not refused(one)), choices[0]))
    parts = _parts(text)
    if len(parts) > 1:
        return [name for part in parts for name in _names(part)]
    return [_spdx(text)]


def refused(text: str, known: Collection[str] = ALLOWED) -> list[str]:
    """The names in a licence that are not `known`; of a choice, none where one of them is."""
    if len(text) > _LONGEST:
        return [text]
    text = _bare(text)
    choices = _choices(text)
    if len(choices) > 1:
        found = [refused(choice, known) for choice in choices]
        return [] if not all(found) else found[0]
    parts = _parts(text)
    if len(parts) > 1:
        return [name for part in parts for name in refused(part, known)]
    name = _spdx(re.sub(r"\s+WITH\s+\S+$", "", text))
    return [] if name.casefold() in known else [name]


def _bare(text: str) -> str:
    """`text` without white space and brackets around all of it."""
    text = text.strip()
    while text.startswith("(") and _closes(text) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _choices(text: str) -> list[str]:
    return _split(text, r"\s+OR\s+" if "://" in text else r"\s+OR\s+|\s*/\s*")


def _parts(text: str) -> list[str]:
    return _split(text, r"\s+AND\s+|\s*[,;]\s+(?!version)")


def _closes(text: str) -> int:
    """Where the bracket that `text` starts with is closed; -1 for nowhere."""
    depth = 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if not depth:
            return i
    return -1


def _split(text: str, word: str) -> list[str]:
    """`text` at each `word` that is in no brackets."""
    parts, start = [], 0
    for match in re.finditer(word, text, re.I):
        before = text[: match.start()]
        if before.count("(") == before.count(")"):
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def _spdx(text: str) -> str:
    """The SPDX name that these words can only mean, else the words."""
    inner = re.fullmatch(r"(.*?)\s*[(\[]([^()\[\]]*)[)\]]", text)
    if inner:
        names = [_spdx(part) for part in inner.groups() if part]
        return next((name for name in names if name.casefold() in ALLOWED), names[-1])
    if made := re.fullmatch(_CREATIVE, text):
        kind = {"zero": "CC0", "mark": "Public-Domain"}.get(made[1].casefold())
        version = made[2] or ""
        if kind == "Public-Domain":
            return kind
        return "-".join(part for part in (kind or f"CC-{made[1].upper()}", version) if part)
    if address := re.fullmatch(_ADDRESS, text):
        text = address[1] if "apache" not in text.casefold() else "apache " + address[1]
    plain = re.sub(r"[\s_-]+", " ", text.casefold())
    for phrase, short_form in _PHRASES:
        plain = plain.replace(phrase, short_form)
    told = [word for word in re.findall(_WORD, plain) if word not in _EMPTY]
    return _of_words(told) or text


def _of_words(told: list[str]) -> str:
    words = [word for word in told if word.isalpha()]
    version = next((word for word in told if not word.isalpha() and word != "0"), "")
    if words == ["cc"] and "0" in told:
        return "CC0-1.0" if version in ("", "1", "1.0") else f"CC0-{version}"
    if "by" in words and set(words) <= {"cc", "by", "nc", "sa", "nd"}:
        kinds = [kind for kind in ("by", "nc", "sa", "nd") if kind in words]
        full = f"{version}.0" if version.isdigit() else version
        return "-".join(part for part in ("CC", *(kind.upper() for kind in kinds), full) if part)
    if words == ["apache"] and version in ("", "2", "2.0"):
        return "Apache-2.0"
    if words in (["public", "domain"], ["pd"]):
        return "Public-Domain"
    if words == ["mit"] and not version:
        return "MIT"
    return "CDLA-Permissive-2.0" if told == ["cdla", "permissive", "2.0"] else ""


def is_spdx(name: str) -> bool:
    """Whether SPDX has this name."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        canonicalize_license_expression(name)
    except InvalidLicenseExpression:
        return False
    return True
