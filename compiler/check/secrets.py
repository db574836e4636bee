"""A check of what nobody should learn at all: passwords, keys and tokens.

It knows the shapes that their makers gave them, so that one can tell a key from any other word, and
passes over what is plainly a sample. A message shows the first letters only.
"""

import re
from itertools import islice

from compiler import codes
from compiler.check.finding import Finding, Findings
from compiler.check.look import Look
from compiler.check.search import place
from compiler.tree import Path

_SHOWN = 4
# Every key holds so many letters and digits in a row; most texts hold no such row.
_ROW = b"a" * 20
_ROWS = bytes(0x61 if chr(byte).isalnum() and byte < 0x80 else 0x20 for byte in range(256))

# What it is, the marks one of which it has, and its shape. Where that has a group `value`, the
# group is the secret, and has to look like one.
SHAPES = (
    ("an AWS access key", "AKIA|ASIA", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    (
        "a GitHub token",
        "ghp_|gho_|ghs_|github_pat_",
        r"\bgh[pos]_[A-Za-z0-9]{36}|\bgithub_pat_\w{60}",
    ),
    ("a GitLab token", "glpat-", r"\bglpat-[\w-]{20}"),
    ("a Slack token", "xox", r"\bxox[abeoprs]-[\w-]{20}"),
    ("a Stripe key", "k_live_", r"\b[rs]k_live_[A-Za-z0-9]{20}"),
    ("a Google API key", "AIza", r"\bAIza[\w-]{35}(?![\w-])"),
    ("an API key", "sk-", r"\bsk-(?:ant-|proj-|svcacct-|or-v1-)?(?P<value>[\w-]{32,200})"),
    ("a Hugging Face token", "hf_", r"\bhf_[A-Za-z]{34}\b"),
    ("an npm token", "npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("a PyPI token", "pypi-AgE", r"\bpypi-AgE[\w-]{50}"),
    ("a signed token", "eyJ", r"\beyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{20}"),
    # The body says whether it is one: DER, OpenSSH and PGP begin so in base64.
    (
        "a private key",
        "PRIVATE KEY",
        r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----\s{1,40}"
        r"(?:(?:MI|lQ|lI|xc)[A-Za-z0-9+/]{50}|b3BlbnNzaC1rZXk|Proc-Type:)",
    ),
    (
        "a password",
        "://",
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"<>]{1,64}:(?P<value>[^\s/:@'\"<>]{8,64})@[\w.-]{4}",
    ),
    (
        "a secret",
        "ecret|oken|assword",
        r"(?:[Ss]ecret|SECRET|[Tt]oken|TOKEN|[Pp]assword|PASSWORD)\w{0,20}[\"']?\s{0,3}[:=]\s{0,3}"
        r"[\"']?(?P<value>[\w+/=.~-]{24,200})",
    ),
)
_SAMPLE = (
    r"(?i)example|sample|dummy|fake|placeholder|your|change|redacted|secret|password|passwd|\$\{"
    r"|x{4}|0{5}|1234567|abcdef|eyJzdWIiOiIxMjM0NTY3ODkw|([A-Za-z0-9])\1{4}"
)


def secret(look: Look) -> Findings:
    """T152, each shape once in a text."""
    if not may_hold_one(look.joined):
        return
    for at, text in look.texts:
        is_worth_it = at[0] != "document" and may_hold_one(text)
        for name, marks, shape in SHAPES if is_worth_it else ():
            if any(mark in text for mark in marks.split("|")):
                real = (hit for hit in re.finditer(shape, text) if is_real(hit))
                yield from (_say(look, at, hit, name) for hit in islice(real, 1))


def _say(look: Look, at: Path, hit: re.Match[str], name: str) -> Finding:
    group = group_of(hit)
    return Finding(
        codes.T152,
        f"`{hit[group][:_SHOWN]}…` looks like {name}",
        place(look, (at, hit), group, _SHOWN),
        "revoke it, since git keeps what was once pushed; then write a made-up one",
    )


def group_of(hit: re.Match[str]) -> int | str:
    """The group of a shape that is the secret."""
    return "value" if "value" in hit.re.groupindex else 0


def may_hold_one(text: str) -> bool:
    """Whether it is worth looking for the shapes in a text; fast."""
    if "glpat-" in text or ("@" in text and "://" in text):
        return True
    return _ROW in text.encode("utf-8", "surrogatepass").translate(_ROWS)


def is_real(hit: re.Match[str]) -> bool:
    """Whether it is no sample; a bare value, which no maker's mark tells, has to look random."""
    group = group_of(hit)
    if re.search(_SAMPLE, hit[group]):
        return False
    kinds = (str.islower, str.isupper, str.isdigit)
    return not group or all(any(map(kind, hit[group])) for kind in kinds)
