"""A student goes in; what counts its tokens comes out, without the library of models.

A file of its own because a plan must count as training will: with the student's tokenizer and its
chat template, rendered in the same sandbox. It answers to what `training.encode` asks of a
tokenizer. Where a student's files are not at hand, it estimates, and says so.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from jinja2 import Environment, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from compiler.diagnostics import Report
from training.data import Build, Message
from training.plan.files import file_of, json_of
from training.recipe import Embedded, Recipe
from training.vocabulary import CHAT_TEMPLATE, END, PAD, PLAIN_TEMPLATE, learn, tell_plain
from training.where import stage_of

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer

CHARACTERS = 4
"""Characters of a token where no tokenizer is at hand: about so many in English text."""


class Words:
    """Counts tokens; `tokenizer` is None where characters are counted in their place.

    `how` says in words how they are counted. `exact` is false where that is not what training
    counts with: no tokenizer, or a template that cannot be read here and a plain one in its place.
    """

    def __init__(
        self, tokenizer: "Tokenizer | None", template: str, special: Mapping[str, str], how: str
    ) -> None:
        self.tokenizer, self.special, self.how = tokenizer, special, how
        self.exact = tokenizer is not None
        self._known: dict[str, list[int]] = {}
        try:
            self._template = compiled(template)
        except TemplateError:
            self._template, self.exact = compiled(PLAIN_TEMPLATE), False
        self.added_tokens_decoder: dict[int, AddedToken] = (
            tokenizer.get_added_tokens_decoder() if tokenizer else {}
        )
        named = {tokenizer.token_to_id(text) for text in special.values()} if tokenizer else set()
        self.all_special_ids = sorted(number for number in named if number is not None)

    @property
    def vocabulary(self) -> int:
        """How many different tokens there are; 0 where that is not known."""
        return int(self.tokenizer.get_vocab_size()) if self.tokenizer else 0

    def apply_chat_template(
        self,
        messages: Sequence[Message],
        tokenize: bool = True,
        return_dict: bool = True,
        add_generation_prompt: bool = False,
    ) -> dict[str, list[int]]:
        """`input_ids` of a conversation, as a tokenizer of transformers gives them.

        Raises TemplateError where the template refuses it.
        """
        text = self._template.render(
            **self.special,
            messages=[dict(one) for one in messages],
            tools=None,
            documents=None,
            add_generation_prompt=add_generation_prompt,
        )
        if text not in self._known:
            self._known[text] = self._encode(text)
        return {"input_ids": self._known[text]}

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of tokens; where characters are counted, some letter."""
        return str(self.tokenizer.decode(list(numbers))) if self.tokenizer else "x"

    def _encode(self, text: str) -> list[int]:
        if self.tokenizer is None:
            return [0] * -(-len(text) // CHARACTERS)
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)


def words_of(recipe: Recipe, build: Build, report: Report) -> Words:
    """What counts the tokens of a recipe's student.

    The embedded student's tokenizer is learned from the build, as training does; a named one's is
    its `tokenizer.json`; F622 where it comes without a chat template.
    """
    if isinstance(recipe.student, Embedded):
        learned = learn(build.texts(), recipe.student.vocabulary)
        special = {"eos_token": END, "pad_token": PAD}
        return Words(
            learned, CHAT_TEMPLATE, special, "counted with a tokenizer learned from the build"
        )
    model = stage_of(recipe.model)
    path = file_of(model, "tokenizer.json")
    settings = json_of(model, "tokenizer_config.json")
    template, special = _template(model, settings), _special(settings)
    if path is None:
        how = f"estimated by {CHARACTERS} characters a token: no tokenizer is at hand"
        return Words(None, template, special, how)
    if template == PLAIN_TEMPLATE:
        tell_plain(recipe.model, "eos_token" in special, report)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    plain = " and a plain chat template" if template == PLAIN_TEMPLATE else ""
    how = f"counted with the tokenizer of `{recipe.model}`{plain}"
    return Words(tokenizer, template, special, how)


def _template(model: str, settings: Mapping[str, Any]) -> str:
    """The chat template of a model: a file of its own, else a text in the tokenizer's settings."""
    if path := file_of(model, "chat_template.jinja"):
        return path.read_text("utf-8")
    found = settings.get("chat_template")
    if isinstance(found, list):  # several, by name
        found = next((one["template"] for one in found if one.get("name") == "default"), None)
    return found if isinstance(found, str) else PLAIN_TEMPLATE


def _special(settings: Mapping[str, Any]) -> dict[str, str]:
    """The special tokens that a template may name, `eos_token` and the like."""
    found = {}
    for key, value in settings.items():
        text = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(text, str):
            found[key] = text
    return found


class _Generation(Extension):
    """The tag in which templates put what an assistant says; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012 - jinja's own name for it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


@cache
def _environment() -> Environment:
    """Templates see what `transformers` lets them see, and nothing of Python."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    made.filters["tojson"] = _tojson
    made.globals |= {"raise_exception": _refuse, "strftime_now": _now}
    return made


@cache
def compiled(template: str) -> Any:  # noqa: ANN401 - jinja's template, which is Any when rendered
    """A chat template, ready to render. Raises TemplateError."""
    return _environment().from_string(template)


def _tojson(value: object, ensure_ascii: bool = False, **options: Any) -> str:  # noqa: ANN401
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(form: str) -> str:
    """Today's date, which some templates put into their prompt."""
    return datetime.now().strftime(form)
