"""Every column that a template of a pipeline may read, with texts of the test's choice."""

from compiler.lower import COLUMNS
from compiler.pipeline import Draw, Rounds, Spread

PARTS = ("question", "answer", "context")


def columns_of(pipeline, text=lambda name: "Nice.", count=3):
    """`text` makes the text of a column, or of a part of an example (`examples.question`)."""
    example = {key: text(f"examples.{key}") for key in PARTS}
    names = {name for kind in pipeline.takes for name in COLUMNS[kind]}
    names |= {field.name for stage in pipeline.generates for field in stage.writes}
    made = {name: text(name) for name in sorted(names)}
    made |= {"examples": [example, example], "seed": example, "count": count, "language": ""}
    made |= pipeline.settings.defaults
    for stage in pipeline.every():
        if isinstance(stage, Draw):
            made |= {drawn.name: _drawn(drawn, example, text) for drawn in stage.draws}
        if isinstance(stage, Spread):
            made[stage.writes] = text(stage.writes)
        if isinstance(stage, Rounds):
            made |= {"round": 1, "parent": example}
    return made


def _drawn(drawn, example, text):
    """What a contributor's text could be drawn for a column."""
    snippet = {"text": text(drawn.name), "path": "a.md", "blob": "", "start": 1, "end": 1}
    one = {"seeds": example, "pool": example, "words": text(drawn.name), "lines": snippet}
    value = one.get(drawn.source, drawn.values[0] if drawn.values else None)
    if drawn.number is None:
        return value
    return list(drawn.values) if drawn.source == "list" else [value]
