"""What a maintainer may decide about each pass, with its defaults: one dataclass a section of
`curriculum.yaml`.

A file of its own because every pass takes its own section as a value and looks at no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from compiler.diagnostics import Span
from compiler.source import SETTINGS_NAME

if TYPE_CHECKING:
    from compiler.leaf import Leaf


@dataclass(frozen=True, slots=True)
class Snippets:
    """Pinned text that a pipeline draws windows of lines from, for leaves without a document."""

    repo: str = "."
    commit: str = "HEAD"
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """Sends the leaves that match to pipelines; an empty field matches every leaf.

    `pipelines` are names with their shares of the leaf's samples. `settings` (`with:` in YAML) are
    values for what the pipelines declare as such, `verify` the checker of the leaf's answers: its
    kind and what that kind takes. `language` of "" is that of the leaf's own texts. `places` are
    those of the settings by name, and of `verify` and `snippets`.
    """

    pipelines: tuple[tuple[str, float], ...] = ()
    branch: str = ""
    kind: str = ""
    leaves: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    verify: Mapping[str, object] = field(default_factory=dict)
    language: str = ""
    snippets: Snippets | None = None
    span: Span = field(default=Span(SETTINGS_NAME), compare=False)
    places: Mapping[str, Span] = field(default_factory=dict, compare=False)

    def place(self, name: str) -> Span:
        """Where a setting, or `verify`, or `snippets` stands."""
        return self.places.get(name, self.span)

    def matches(self, leaf: "Leaf") -> bool:
        return (
            self.branch in ("", leaf.branch)
            and self.kind in ("", leaf.kind)
            and (not self.leaves or fnmatchcase(leaf.path, self.leaves))
        )


@dataclass(frozen=True, slots=True)
class MeaningSettings:
    """A model that embeds texts, by name or folder, and the cosine from which two mean the same."""

    model: str
    above: float = 0.95


@dataclass(frozen=True, slots=True)
class SiftSettings:
    """`near_duplicate` is a Jaccard similarity of word pairs, `novelty` a ROUGE-L (0: not looked
    at).

    `known` and `benchmarks` are files of samples, as JSON Lines or Parquet: a question of the first
    is known already, one of the second must not be learned. `factoids` is `keep`, `drop` or `route`
    (kept only with a context). `worth` is the share of highest educational value that is kept.
    """

    near_duplicate: float = 0.85
    min_question_words: int = 2
    min_answer_words: int = 1
    novelty: float = 0.0
    meaning: MeaningSettings | None = None
    known: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    refusals: bool = True
    safety: bool = True
    personal_data: bool = True
    grounding: bool = True
    language: bool = True
    factoids: str = "keep"
    worth: float = 1.0


@dataclass(frozen=True, slots=True)
class ValueSettings:
    """`method` is `none`, `knn-shapley`, `cs-shapley` or `leave-one-out`; `quarantine` the share
    of the synthetic samples with the lowest values that is set aside. Where values are needed and
    no method is named, it is `knn-shapley`.

    `environments` are the draws for each class of CS-Shapley; one ends where its in-class accuracy
    is within `truncation` of that with all samples (0: it does not end before).
    """

    method: str = "none"
    quarantine: float = 0.0
    environments: int = 500
    truncation: float = 0.0


@dataclass(frozen=True, slots=True)
class SelectSettings:
    """`mechanism` is `order`, `greedy` or `facility-location`. `utility` names what makes a sample
    useful: `quality`, `informativeness`, `value`.

    `similarity` is the highest cosine of two samples that `greedy` selects. `per_leaf` counts
    synthetic samples of a leaf (0: `samples_per_leaf`), `budget` those of all skill leaves together
    (0: no limit): knowledge is not style, and is limited by `per_leaf` alone. Every leaf keeps
    `min_per_leaf`, where it has so many, whatever their scores and however similar.
    """

    mechanism: str = "order"
    utility: tuple[str, ...] = ("quality", "informativeness")
    similarity: float = 0.9
    budget: int = 0
    per_leaf: int = 0
    min_per_leaf: int = 1
    value: ValueSettings = field(default_factory=ValueSettings)


@dataclass(frozen=True, slots=True)
class DataSource:
    """Samples that were made elsewhere: a local file, or a data set of the Hugging Face hub.

    `name` is that of its leaf, `sources/NAME`; "" takes it from the file's or data set's name.
    `generation` is that of its samples: 0 where people wrote them. `samples` is how many of them
    are drawn (0: all).
    """

    licence: str
    file: str = ""
    hub: str = ""
    subset: str = ""
    revision: str = ""
    split: str = "train"
    name: str = ""
    phase: int = 2
    samples: int = 0
    generation: int = 1


@dataclass(frozen=True, slots=True)
class MixSettings:
    """`replay` is the share of phase 1 that phase 2 repeats, `validation` that of the synthetic
    samples that no phase gets, because evaluation asks them.

    `replay_from` is `balanced` (over leaves), `all` (any samples) or `top` (of every leaf the best
    by their judges). `phase1` and `phase2` are the most samples of a phase, replay not counted (0:
    any number); people's seed examples are always in. `min_human` is the least share of a phase's
    words that people wrote, `max_generation` the most generations between a sample and a person (0:
    any). `short_answer` is the most words of an answer of the first of the two steps of phase 1.
    """

    replay: float = 0.5
    replay_from: str = "balanced"
    validation: float = 0.08
    phase1: int = 0
    phase2: int = 0
    min_human: float = 0.0
    max_generation: int = 0
    short_answer: int = 25
    sources: tuple[DataSource, ...] = ()


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What the judges and the chosen assertions together must reach on people's grades, in every
    branch: the least share of the bad samples that they fail, and the highest of the good ones.

    The smallest set of assertions that reaches both is chosen. 0 and 1 ask for nothing; then it is
    the set that agrees with people best.
    """

    min_coverage: float = 0.0
    max_false_failures: float = 1.0


@dataclass(frozen=True, slots=True)
class LicenceSettings:
    """SPDX names beside those that are known; a denied one wins. `teacher` is that of the teacher's
    output, "" where it is not said.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    teacher: str = ""


ROUTES = (
    Route((("knowledge-qa", 1.0),), kind="knowledge"),
    Route((("skill-grounded", 1.0),), kind="grounded"),
    Route((("skill-freeform", 1.0),), kind="freeform"),
)
