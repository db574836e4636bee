"""The marks that a chat template or one of our prompts would act upon, found in a text.

A file of its own because two passes must agree on them: `prompt` makes them harmless, `check` tells
the author. It imports nothing, so that a check starts light. The patterns do not mind case.
"""

import re
from collections.abc import Iterable

# The tags of the shipped pipelines' templates, and of the replies that they ask for.
TAGS = frozenset(
    "answer coherent context document faithful fitting follow_up gain kind passage question rating "
    "relevant reply snippet sound standalone task tests worth".split()
)
BRACKETS = "<＜﹤"

_PIPE = r"[|｜]"
_WORD = "/?s|bos|eos|pad|unk|mask|endoftext|start_of_turn|end_of_turn|start_of_image|end_of_image"
_SQUARE = "INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|SYSTEM_PROMPT"
# The first bracket of a chat template's special token: ChatML, Llama, Mistral, Gemma and their kin.
CHAT = (
    rf"[{BRACKETS}\[](?={_PIPE}[^<>\n]{{0,60}}{_PIPE}[>＞﹥]|</?SYS>>|(?:{_WORD})[>＞﹥]"
    rf"|/?(?:{_SQUARE})\])"
)


def tag_start(names: Iterable[str]) -> str:
    """Finds the bracket of every tag of these names, opening or closing, however it is spelled."""
    known = "|".join(sorted(re.escape(name) for name in names))
    return rf"[{BRACKETS}](?=\s*+[/／]?+\s*+(?:{known})\b)" if known else r"(?!)"
