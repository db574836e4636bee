"""A question and its answer go in; whether the answer says anything comes out.

A file of its own because pipelines eliminate by the same rules: a response with an excuse and fewer
than 80 words, and one of punctuation and stop words only (Evol-Instruct, arXiv 2304.12244, section
3.2). What an excuse is, and in which languages, is ours, and so are the exceptions: where the
question is about apologies, or asks for words in somebody else's mouth, "sorry" is no refusal.
"""

import re
import unicodedata

from compiler.delimiters import CHAT
from compiler.terms import STOP, phrases, tokens

MOST_WORDS = 80
_OPENING = 160

_EXCUSE = re.compile(
    phrases(
        """sorry, apologi[sz]e, apologies, es tut mir leid, entschuldigung, entschuldigen sie,
        verzeihung, désolée?, je m'excuse, lo siento, disculpa, lamento, desculpe, sinto muito,
        mi dispiace, mi scuso, het spijt me, przepraszam, przykro mi, tyvärr,
        jag är ledsen, üzgünüm, maaf, извините, простите, к сожалению"""
    )
    + "|抱歉|对不起|對不起|申し訳|すみません|ごめんなさい|죄송|آسف|عذرا|क्षमा करें|माफ़"
)
_NO_EXCUSE = re.compile(r"\bsorry (?:state|sight|excuse|affair|story|tale|plight)\b")
_ABOUT = re.compile(
    phrases(
        r"""apolog\w*, regret\w*, forgiv\w*, condolen\w*, sympath\w*, remorse\w*,
        refus(?:e|al|ing)\w*, declin(?:e|ing)\w*, entschuldig\w*, excus\w*, perdón, pardon\w*,
        scus\w+"""
    )
)
# What is written for somebody else to say.
_SPOKEN = re.compile(
    phrases(
        r"""letters?, e-?mails?, mails?, messages?, reply, replies, notes?, cards?, dialog(?:ue)?s?,
        conversations?, story, stories, poems?, songs?, lyrics, jokes?, puns?, scripts?, scenes?,
        speech, speeches, tweets?, posts?, limericks?, haikus?, sonnets?, skits?, captions?,
        translat\w+, rewrit\w+, rephras\w+, paraphras\w+, role-?play\w*, pretend\w*, act as,
        chat\w*, brief\w*, gedicht\w*, geschichten?, carta, lettre, poema, poème, poesia"""
    )
)
_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|„[^“”\n]*[“”]|«[^»\n]*»|(?<!\w)'[^'\n]*'(?!\w)")
_CANNOT = r"""can ?not, can't, could not, couldn't, unable to, not able to, won't, will not,
    must decline, must refuse, (?:do not|don't) feel comfortable,
    (?:do not|don't) have (?:access|the ability|personal|feelings|real-?time|enough),
    not (?:going|allowed|permitted) to"""
_DO = r"""help, assist, provide, fulfill?, comply, answer, create, generate, write, do that,
    do this, do so, support, engage, discuss, complete, access, browse, respond, continue,
    participate, information, opinions?, feelings, data"""
_UNABLE = re.compile(
    rf"\b(?:i|we)(?:'m| am|'re| are)? {phrases(_CANNOT)}[^.!?\n]{{0,30}}?{phrases(_DO)}"
    r"(?! (?:but|falling|feeling|thinking)\b)|"
    + phrases(
        r"""ich kann (?:ihnen|dir|euch)? ?(?:dabei|damit|hier|leider|\s)*nicht (?:weiter)?helfen,
        no puedo (?:ayudar|responder|cumplir|proporcionar),
        je ne peux pas (?:vous )?(?:aider|répondre|fournir),
        não posso (?:ajudar|responder|fornecer), non posso (?:aiutar|rispondere|fornire)"""
    )
)
_MACHINE = re.compile(
    phrases(
        r"""(?:as|i'm|i am)(?: just| only)? an? (?:ai |large )?language model,
        (?:as|i'm|i am)(?: just| only)? an? (?:ai|artificial intelligence),
        as an? machine learning model, als ki, als (?:ki-?)?sprachmodell, en tant qu'ia,
        en tant que modèle, como (?:un )?modelo de lenguaje, como (?:um )?modelo de linguagem,
        my training data, my knowledge cut-?off, my last (?:knowledge )?update"""
    )
    + "|作为(?:一个|一名)?(?:人工智能|ai)"
)
_ABOUT_MACHINES = re.compile(
    phrases(
        """ai, artificial intelligence, language models?, chat ?bots?, llms?, assistants?, are you,
        ki, ia"""
    )
    + "|人工智能"
)
# What a template or the form of a reply leaves behind: our own tags, and the headings of exercises.
_LEFT = re.compile(
    rf"{CHAT}|^\s*#{{2,4}} ?(?:instruction|response|input|output|human|assistant|user|end)\s*:?\s*$"
    r"|\A\s*(?:human|assistant|user|gpt|answer|response)\s*:\s"
    r"|</?(?:question|answer|response|output|instruction|document|passage|context)>"
    r"|#(?:given|rewritten|created|new) prompt#|\[(?:your |insert )?answer(?: here)?\]",
    re.IGNORECASE | re.MULTILINE,
)
# Small words that answer nothing, not even alone: "down" may be the opposite that was asked for.
_NEVER = frozenset(
    "the a an of and or is are was were der die das ein eine und oder ist le les une et est el los "
    "y os um uma il gli che het een en van jest och att ett ve bir yang dan".split()
)


def is_refusal(question: str, answer: str) -> bool:
    """Whether an answer of fewer than 80 words excuses itself, or says that it cannot.

    Not where the question is about apologies; an excuse that is quoted, or that stands in what the
    question asks to be written for others to say, is none.
    """
    if len(answer.split()) >= MOST_WORDS:
        return False
    asked, said = _plain(question), _plain(answer)
    if _ABOUT.search(asked) or _EXCUSE.search(asked):
        return False
    own = _QUOTED.sub(" ", said)
    if _UNABLE.search(own[:_OPENING]):
        return True
    return bool(_EXCUSE.search(_NO_EXCUSE.sub(" ", own))) and not _SPOKEN.search(asked)


def is_empty(answer: str) -> bool:
    """Whether nothing but punctuation and stop words is there; a single letter, an emoji or a
    formula's sign is an answer, and so is a word alone that may well be asked for.
    """
    found = tokens(answer)
    if any(word not in STOP for word in found):
        return False
    if len(found) == 1 and (len(found[0]) == 1 or found[0] not in _NEVER):
        return False
    return not any(
        unicodedata.category(mark) in ("So", "Sm") and not mark.isascii() for mark in answer
    )


def boilerplate(question: str, answer: str) -> str:
    """What stands in the answer and is no answer: a model that speaks of itself, or the form of a
    prompt; "" where there is none, or the question is about it.
    """
    said, asked = _plain(answer), _plain(question)
    machine = _MACHINE.search(_QUOTED.sub(" ", said))
    if machine and not _ABOUT_MACHINES.search(asked):
        return machine[0]
    left = next((hit[0].strip() for hit in _LEFT.finditer(answer)), "")
    return "" if left and _LEFT.search(question) else left


def _plain(text: str) -> str:
    return text.casefold().replace("’", "'")
