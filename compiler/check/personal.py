"""A check of data that belongs to a private person: addresses, phone, card and account numbers.

What has a shape of its own is looked for, and judged by libraries that know its check digits; they
are loaded for a leaf that holds such a shape. Samples, as manuals print them, are passed over. A
message shows the first letters only.
"""

import re
from collections.abc import Iterator

from compiler import codes
from compiler.check.finding import Finding, Findings
from compiler.check.look import Look
from compiler.check.search import place

_SHOWN = 3
_NOT_TAUGHT = ("created_by", "document")
# A text's letters as `A`, its digits as `0`, without what parts the groups of a number: most texts
# hold none of the two rows.
_KINDS = bytes(
    0x30 if chr(byte).isdigit() and byte < 0x80 else 0x41 if 0x41 <= byte <= 0x5A else 0x2A
    for byte in range(256)
)
_PARTING = b" ().-+"
_NUMBER_ROW = b"0" * 9
_TAX_NUMBER_ROW = b"AAAAAA00A00A000A"

_MAIL = (
    r"(?<![\w.%+/:-])([\w.%+-]{1,64}+)@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}"
    r"[A-Za-z]{2,6})(?![\w-])"
)
# RFC 2606, and what manuals write in its place.
_SAMPLE_HOSTS = frozenset(
    "example test invalid localhost local internal domain mydomain yourdomain company mycompany "
    "yourcompany acme foo bar xyz abc email mail host".split()
)
_NOBODY = (
    r"(?:john|jane|joe|max|erika)(?:q?public|doe|smith|mustermann)?|(?:first|last|sur)?name|user|"
    r"firstnamelastname|your|you|me|some(?:one|body)|test|foo|bar|alice|bob|admin|root|git|info|"
    r"contact|support|help|sales|office|(?:no|do?not)reply|webmaster|postmaster|hello|team|press|"
    r"media|security|abuse|hr|jobs|careers|privacy|services?|customer\w*|feedback|[ei]nquir\w+|"
    r"orders?|billing|marketing|news|mail|legal|compliance|events?"
)
_NUMBER = r"[0-9+(](?<![\w.+].)(?:[ ().-]{0,2}[0-9]){8,20}+(?!\w)"
_ACCOUNT = (
    r"[A-Z](?<!\w.)(?:[A-Z][0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?"
    r"|[A-Z]{5}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z])(?!\w)"
)
_CARD = (
    r"(?:[45][0-9]{3}|2[2-7][0-9]{2}|6011|65[0-9]{2})([ -]?)[0-9]{4}\1[0-9]{4}\1[0-9]{4}"
    r"|3[47][0-9]{2}([ -]?)[0-9]{6}\2[0-9]{5}"
)
_PHONE = r"\+[0-9 ().-]+|\(?[2-9][0-9]{2}(?:\) ?|[ .-])[2-9][0-9]{2}[ .-][0-9]{4}"
_SOCIAL_SECURITY = r"[0-9]{3}-[0-9]{2}-[0-9]{4}"
_CPF = r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"
_NIR = r"[12]( ?)[0-9]{2}\1[01][0-9]\1[0-9]{2}\1[0-9]{3}\1[0-9]{3} ?[0-9]{2}"
# Numbers that card makers, phone companies and authorities print in their manuals.
_SAMPLE_NUMBERS = (
    r"4111111111111111|4012888888881881|5105105105105100|5555555555554444|2223003122003222"
    r"|6011111111111117|6011000990139424|378282246310005|371449635398431|378734493671000|4242"
    r"|123456789|.*1234567|.*98765432|078051120|219099999|[0-9]{3}55501|1?[0-9]{3}555|44.*7946|441632"
)


def personal_data(look: Look) -> Findings:
    """T153, each kind once in a text."""
    mails, numbers = "@" in look.joined, _may_hold_numbers(look.joined)
    if not mails and not numbers:
        return
    for at, text in look.texts:
        seen = set()
        found = [*(mails_in(text) if mails else ()), *(numbers_in(text) if numbers else ())]
        for hit, kind in found if at[0] not in _NOT_TAUGHT else ():
            if kind not in seen:
                seen.add(kind)
                yield Finding(
                    codes.T153,
                    f"`{hit[0][:_SHOWN]}…` looks like {kind} of a person",
                    place(look, (at, hit), 0, _SHOWN),
                    "write a made-up one, such as `ada@example.org`, or remove it",
                )


def mails_in(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """The e-mail addresses of people in a text, and the words for what each is."""
    for hit in re.finditer(_MAIL, text) if "@" in text else ():
        if _is_somebody(hit[1], hit[2]):
            yield hit, "the e-mail address"


def numbers_in(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """The numbers that belong to one person in a text, and the words for what each is."""
    if _may_hold_numbers(text):
        for pattern, judge in ((_NUMBER, _number), (_ACCOUNT, _account)):
            for hit in re.finditer(pattern, text):
                if kind := judge(hit[0]):
                    yield hit, kind


def _may_hold_numbers(text: str) -> bool:
    kinds = text.encode("utf-8", "surrogatepass").translate(_KINDS, _PARTING)
    return _NUMBER_ROW in kinds or _TAX_NUMBER_ROW in kinds


def _is_somebody(name: str, host: str) -> bool:
    plain = re.sub(r"[\W_0-9]+", "", name).casefold()
    return not (
        re.fullmatch(_NOBODY, plain) or _SAMPLE_HOSTS.intersection(host.casefold().split("."))
    )


def _number(text: str) -> str:
    """The kind of number that this surely is; "" for any other."""
    plain = re.sub(r"[^0-9]", "", text)
    if re.match(_SAMPLE_NUMBERS, plain) or len(set(plain)) < 4:
        return ""
    if re.fullmatch(_PHONE, text):
        return "the phone number" if _is_phone(text) else ""
    if re.fullmatch(_CARD, text):
        from stdnum import luhn

        return "the card number" if luhn.is_valid(plain) else ""
    if re.fullmatch(_SOCIAL_SECURITY, text):
        from stdnum.us import ssn

        return "the social security number" if ssn.is_valid(text) else ""
    if re.fullmatch(_CPF, text):
        from stdnum.br import cpf

        return "the tax number" if cpf.is_valid(text) else ""
    if re.fullmatch(_NIR, text):
        from stdnum.fr import nir

        return "the social security number" if nir.is_valid(text) else ""
    return ""


def _is_phone(text: str) -> bool:
    """Whether somebody can have the number; those that are free to call belong to companies."""
    import phonenumbers
    from phonenumbers import PhoneNumberType

    try:
        number = phonenumbers.parse(text, None if text.startswith("+") else "US")
    except phonenumbers.NumberParseException:
        return False
    kinds = (
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
    )
    # The length first: what holds the kinds of a country's numbers is loaded when it is asked for.
    return phonenumbers.is_possible_number(number) and phonenumbers.number_type(number) in kinds


def _account(text: str) -> str:
    from stdnum import iban
    from stdnum.it import codicefiscale

    plain = text.replace(" ", "")
    if len(set(plain)) < 6:
        return ""
    if plain[4:5].isdigit() or plain[2:4].isdigit():
        return "the account number" if iban.is_valid(plain) else ""
    return "the tax number" if codicefiscale.is_valid(plain) else ""
