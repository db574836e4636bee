"""A build goes in; a folder of tasks for lm-evaluation-harness comes out, so that others can check
our scores with a program that is not ours.

A file of its own because the folder is another program's input. It may be moved and sent: its data
lie beside its code, which the harness loads by itself, and its scoring is the source of ours.
"""

import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.codes import F612, F614
from compiler.diagnostics import Report, counted
from training import metrics
from training.ask import Question
from training.data import Build
from training.evaluate.questions import gather
from training.machine import write_text

Row = Mapping[str, object]

GROUP = "trivium"
CHOICE, EXACT = "choice", "exact"
_MODULE, _README = "tasks.py", "README.md"
_LEAST_ROOM, _MORE_ROOM = 16, 8  # tokens of an answer; those beyond the longest reference


@dataclass(frozen=True, slots=True)
class _Task:
    """One branch asked in one way; its file of questions has the same stem as its YAML."""

    branch: str
    way: str
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        branch = re.sub(r"[^A-Za-z0-9]+", "_", self.branch)  # it names files
        return f"{GROUP}_{branch}_{self.way}"


def export_harness(
    build: Build, folder: Path, report: Report, taught: frozenset[str] = frozenset()
) -> list[str]:
    """Writes a task for each branch and way of asking, and a group of all, into `folder`; returns
    the names of the tasks, none where there is nothing to ask or the folder is another's (F612).

    Asked are people's held-out questions, but for those that training saw (E708): in a phase of the
    build, or among the marks `taught`. The harness's `acc_norm` is our multiple choice, its
    `exact_match` and `f1` are ours.
    """
    taken = ""
    if folder.exists() and not folder.is_dir():
        taken = "is a file"
    elif folder.is_dir() and any(folder.iterdir()) and not (folder / f"{GROUP}.yaml").is_file():
        taken = "holds other files"
    if taken:
        hint = "name an empty folder, or one that does not exist"
        report.add(F612, f"`{folder}` {taken}", hint=hint)
        return []
    sets, left = gather(build, (), taught, report)
    asked = [question for question in sets["heldout"] if _is_single(question)]
    tasks = [task for branch in _branches(asked) for task in _of_branch(branch, asked)]
    if not tasks:
        return []
    counts = {
        "seen in training": left.get("heldout", 0),
        "of several turns, which the harness does not ask": len(sets["heldout"]) - len(asked),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in (*folder.glob(f"{GROUP}*.yaml"), *folder.glob(f"{GROUP}_*.jsonl")):
            old.unlink()
        for name, text in _files(build, tasks, counts):
            write_text(folder / name, text)
    except OSError as wrong:
        hint = "make room, or name another folder"
        report.add(F614, f"`{folder}` cannot be written: {wrong.strerror}", hint=hint)
        return []
    return [task.name for task in tasks]


def _is_single(question: Question) -> bool:
    """Whether it is one user's message, at most with a system's before it."""
    roles = [message["role"] for message in question.sample.messages[:-1]]
    return roles in (["user"], ["system", "user"])


def _branches(asked: Iterable[Question]) -> list[str]:
    return sorted({question.sample.branch for question in asked})


def _of_branch(branch: str, asked: Iterable[Question]) -> list[_Task]:
    mine = [question for question in asked if question.sample.branch == branch]
    choices = tuple(_choice(one) for one in mine if one.options)
    found = (_Task(branch, CHOICE, choices), _Task(branch, EXACT, tuple(map(_row, mine))))
    return [task for task in found if task.rows]


def _row(question: Question) -> Row:
    sample = question.sample
    system = [m["content"] for m in sample.messages[:-1] if m["role"] == "system"]
    return {
        "id": sample.id,
        "leaf": sample.leaf,
        "system": system[0] if system else "",
        "question": sample.question,
        "answer": sample.answer,
    }


def _choice(question: Question) -> Row:
    """A row with its options; the place of the right one is drawn by the sample's id."""
    right, *others = question.options
    gold = int.from_bytes(question.sample.id.encode()) % len(question.options)
    return {**_row(question), "choices": [*others[:gold], right, *others[gold:]], "gold": gold}


def _files(
    build: Build, tasks: Sequence[_Task], left: Mapping[str, int]
) -> Iterable[tuple[str, str]]:
    """The names and texts of all files."""
    yield _MODULE, _module()
    for task in tasks:
        lines = (json.dumps(row, ensure_ascii=False) for row in task.rows)
        yield f"{task.name}.jsonl", "".join(f"{line}\n" for line in lines)
        yield f"{task.name}.yaml", _task(task)
    ways = list(dict.fromkeys(task.way for task in tasks))
    for way in ways:
        names = [task.name for task in tasks if task.way == way]
        yield f"{GROUP}_{way}.yaml", _group(f"{GROUP}_{way}", names, _MEASURES[way])
    yield _README, _readme(build, tasks, left)
    # The last, because a folder with it is one of ours, and whole.
    yield f"{GROUP}.yaml", _group(GROUP, [f"{GROUP}_{way}" for way in ways], ())


_MEASURES = {CHOICE: ("acc_norm", "acc"), EXACT: ("exact_match", "f1")}


def _task(task: _Task) -> str:
    longest = max(len(str(row["answer"]).encode()) for row in task.rows)
    room = max(_LEAST_ROOM, longest + _MORE_ROOM)  # a token is a byte at least
    mean = "aggregation: mean, higher_is_better: true"
    ways = {
        CHOICE: ["output_type: multiple_choice", "doc_to_target: gold", "doc_to_choice: choices"],
        EXACT: [
            "output_type: generate_until",
            "doc_to_target: answer",
            f"generation_kwargs: {{do_sample: false, until: [], max_gen_toks: {room}}}",
            "process_results: !function tasks.score",
        ],
    }
    lines = [
        f"task: {task.name}",
        "custom_dataset: !function tasks.load",
        f"dataset_kwargs: {{file: {task.name}.jsonl}}",
        "test_split: test",
        "num_fewshot: 0",
        *(["description: system"] if any(row["system"] for row in task.rows) else []),
        "doc_to_text: question",
        'target_delimiter: ""',
        *ways[task.way],
        "metric_list:",
        *(f"  - {{metric: {one}, {mean}}}" for one in _MEASURES[task.way]),
        "metadata: {version: 1}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _group(name: str, tasks: Sequence[str], measures: Sequence[str]) -> str:
    listed = "".join(f"  - {task}\n" for task in tasks)
    means = "".join(f"  - {{metric: {one}, weight_by_size: true}}\n" for one in measures)
    means = f"aggregate_metric_list:\n{means}" if means else ""
    return f"group: {name}\ntask:\n{listed}{means}metadata: {{version: 1}}\n"


_LOAD = '''"""What the tasks of this folder read, and how answers are scored. Trivium wrote it."""

import json
import re
from collections import Counter
from pathlib import Path

import datasets


def load(file, **_):
    """The questions of a task, from the file beside this one."""
    text = (Path(__file__).parent / file).read_text("utf-8")
    rows = [json.loads(line) for line in text.split("\\n") if line]
    return {"test": datasets.Dataset.from_list(rows)}


def score(doc, results):
    """What one answer is worth."""
    (answer,) = results
    return {
        "exact_match": exact_match(answer, doc["answer"]),
        "f1": token_f1(answer, doc["answer"]),
    }
'''


def _module() -> str:
    """The code of the folder: it reads the questions beside it and scores as `training.metrics`."""
    ours = (metrics.normalise, metrics.exact_match, metrics.token_f1)
    return "\n\n".join([_LOAD, *(inspect.getsource(one) for one in ours)])


def _readme(build: Build, tasks: Sequence[_Task], left: Mapping[str, int]) -> str:
    rows = "".join(f"| `{task.name}` | {len(task.rows)} |\n" for task in tasks)
    gone = "".join(
        f"Left out: {counted(number, 'question')} {why}.\n\n"
        for why, number in left.items()
        if number
    )
    return f"""# Tasks for lm-evaluation-harness

People's held-out questions of the build `{build.fingerprint}`: no sample of it holds them.

| task | questions |
| --- | --- |
{rows}
{gone}Run them in this folder, wherever it is, with the harness 0.4.13 or later:

```
pip install "lm-eval[hf]"
lm_eval --model hf --model_args pretrained=STUDENT --apply_chat_template \\
  --include_path . --tasks {GROUP}
```

STUDENT is a folder or a name; for adapters add `,peft=ADAPTERS`. Without `--apply_chat_template`
a student hears questions in a form that it was not taught.

`acc_norm` is what `trivium evaluate` calls multiple choice: the option that is likeliest a
character. `exact_match` and `f1` are scored as there, by `{_MODULE}`. Where a chat template opens
answers with white space at the end, the harness counts that as a part of every option, and
`acc_norm` may differ a little; so may `f1` where an answer has no end, for it gets more room here.
"""
