"""Each mistake in a pipeline has its code and its line: one change of a good one, verb by verb."""

from typer.testing import CliRunner

from compiler.cli.pipeline import app
from compiler.codes import Severity
from compiler.diagnostics import Report
from compiler.example import play, read_example
from compiler.pipeline import Folder, folders, load
from compiler.source import WorkTree

GOOD = {
    "pipeline.yaml": """\
version: 1
about: All verbs.
takes: freeform
asks: 2
settings: {tone: [plain, kind], tries: 2}
stages:
  - do: draw
    writes: {word: {from: [sun, moon]}}
  - do: generate
    id: ask
    prompt: ask.j2
    many: true
    writes: {question: text}
  - do: unique
    of: question
  - do: rounds
    number: 2
    over: rows
    stages:
      - do: best
        of: tries
        by: answer | words
        stages:
          - do: generate
            id: answer
            prompt: answer.j2
            writes: {answer: text, points: text}
          - do: generate
            id: rate
            prompt: rate.j2
            judge: true
            reply: choice
            writes: {rating: ["no", "yes"]}
      - do: keep
        if: rating == "yes"
        else: D511
        because: rated {{ rating }}
  - do: spread
    column: points
    writes: point
  - do: verify
    when: tone == "plain"
    regex: {pattern: "."}
  - do: say
    user: "{{ question }}"
    assistant: "{{ point }}"
""",
    "ask.j2": """\
{# what is asked #}
{% block system %}
You write questions about {{ word }}.
{% endblock %}

{% block user %}
Write {{ count }}, {{ tone }}, in <question>
{% endblock %}
""",
    "answer.j2": "{% if parent %}Not {{ parent.answer }}.{% endif %}\n{{ question }}\n",
    "answer.de.j2": "Antworte: {{ question }}\n",
    "rate.j2": "Rate {{ answer }}\n",
    "example.yaml": """\
leaf:
  path: compositional_skills/rhyme
  version: 1
  created_by: example
  task_description: Find a word that rhymes.
  seed_examples:
    - {question: "Rhyme on moon.", answer: "Soon."}
    - {question: "Rhyme on tree.", answer: "Free."}
teacher: []
samples: []
drops: []
""",
}

# what stands there, what is there in its place, the code, and the text of its line
YAML = [
    ("version: 1\n", "", "P201", "about: All verbs."),
    ("takes: freeform", "takes: poems", "P205", "takes: poems"),
    ("[plain, kind], ", "[no, yes], ", "P205", "settings: {tone"),
    ("do: draw", "do: drow", "P205", "do: drow"),
    ("do: draw", "do:", "P205", "- do:"),
    ("do: draw", "do: [draw]", "P205", "do: [draw]"),
    ("  - do: draw\n    writes", "  - writes", "P201", "- writes: {word"),
    ("from: [sun, moon]", "from: nowhere", "P210", "from: nowhere"),
    ("{from: [sun, moon]}", "{number: 2}", "P201", "number: 2"),
    ("    id: ask\n", "", "P201", "- do: generate"),
    ("    id: ask\n", "    id: answer\n", "P215", "id: answer"),
    ("prompt: ask.j2", "prompt: asks.j2", "P206", "prompt: asks.j2"),
    ("many: true", "many: some", "P205", "many: some"),
    ("writes: {question: text}", "writes: {question: txt}", "P205", "{question: txt}"),
    ("    of: question", "    of: qestion", "P202", "un"),
    ("    number: 2", "    number: [2]", "P205", "number: [2]"),
    ("    number: 2", "    number: times", "P202", "number: times"),
    ("over: rows", "over: row", "P205", "over: row"),
    ("of: tries", "of: tone", "P208", "of: tone"),
    ("by: answer | words", 'by: "1 }}{{ 2"', "P203", "by: "),
    ("by: answer | words", "by: answer | word", "P203", "by: "),
    ("by: answer | words", "by: anser | words", "P202", "by: anser"),
    ('["no", "yes"]', "[no, yes]", "P205", "[no, yes]"),
    ("points: text}", "points: text, rest: text}", "P213", "rest: text"),
    ("reply: choice", "reply: tag", "P205", "reply: tag"),
    ('if: rating == "yes"', "if: rating ==", "P203", "if: rating"),
    ('if: rating == "yes"', 'if: "true %}{% endif %}{% if false"', "P203", 'if: "true'),
    ('if: rating == "yes"', 'if: "rating %}yes{% else"', "P203", 'if: "rating'),
    ('if: rating == "yes"', "if: rating > 2", "P208", "if: rating > 2"),
    ("else: D511", "else: T101", "P207", "else: T101"),
    ("because: rated {{ rating }}", "because: rated {{ rating }", "P203", "because: "),
    ("column: points", "column: pints", "P202", "column: pints"),
    ("    writes: point\n", "", "P201", "- do: spread"),
    ('when: tone == "plain"', 'when: "tone }"', "P203", "when: "),
    ('{pattern: "."}', '{pattern: "("}', "P211", "pattern"),
    ("regex: ", "exact: {equals: word}\n    regex: ", "P211", "- do: verify"),
    ("do: say", "do: say\n    uesr: x", "P204", "uesr: x"),
    ('assistant: "{{ point }}"', 'assistant: "{{ pint }}"', "P202", "pint"),
    ('assistant: "{{ point }}"', 'assistant: "{{ point }"', "P203", "assistant: "),
]
ASK = [
    (GOOD["ask.j2"], "", "P203", ""),
    (GOOD["ask.j2"], "{# nothing #}\n \n", "P203", ""),
    ("block user", "block usr", "P203", "block usr"),
    ("{% block user %}", "", "P203", "endblock"),
    ("{# what is asked #}\n", "\n\nBe kind.\n", "P203", "Be kind."),
    ("{# what is asked #}", "{{ count }}", "P203", "{{ count }}"),
    ("{# what is asked #}", "{% set x = 1 %}", "P203", "set x"),
    ("You write questions about {{ word }}.\n", "\n", "P203", "block system"),
    ("block user", "block system", "P203", "block system"),
    (
        GOOD["ask.j2"].partition("\n\n")[2],
        "{% if count %}\n{% block user %}x{% endblock %}{% endif %}",
        "P203",
        "block user",
    ),
    ("{{ count }}", "{{ cuont }}", "P202", "cuont"),
    ("{{ count }}", "{{ count.x.y }}", "P208", ""),
]
OTHERS = [
    ("answer.j2", "{% if parent %}", "{% if parent }", "P203", "if parent"),
    ("answer.j2", GOOD["answer.j2"], "{% block usr %}{{ question }}{% endblock %}", "P203", "usr"),
    ("answer.j2", "{{ question }}\n", "{% block system %}x{% endblock %}\n", "P203", "if parent"),
    ("answer.de.j2", "{{ question }}", "{{ frage }}", "P202", "frage"),
]
LEAF = [
    ("version: 1", "version: one", "version: one"),
    ("version: 1", "version: 9", "version: 9"),
    ("created_by: example", "created_by: 2024-01-01", "created_by"),
    ('answer: "Soon."', "answer: 3", "answer: 3"),
    ('{question: "Rhyme on moon.", answer: "Soon."}', "moon", "- moon"),
    ("  task_description: Find a word that rhymes.\n", "", "leaf:"),
    (GOOD["example.yaml"].partition("  seed_examples:")[2], " []\n", "seed_examples: []"),
]


def mine(changes, name="mine"):
    files = {file: text.encode() for file, text in {**GOOD, **changes}.items() if text is not None}
    return Folder(name, f"pipelines/{name}", files)


def found(folder):
    """The errors at load, else the warnings, each with the text of its line."""
    report = Report()
    load(folder, report)
    lines = {path: text.splitlines() for path, text in report.texts.items()}
    return [
        (one.code.id, one.span.path, [*lines[one.span.path], ""][one.span.line - 1])
        for one in report.diagnostics
        if not report.errors or one.severity is Severity.ERROR
    ]


def test_without_a_mistake_nothing_is_found():
    assert found(mine({})) == []


def test_a_mistake_is_found_once_at_its_line():
    rows = [("pipeline.yaml", *row) for row in YAML] + [("ask.j2", *row) for row in ASK] + OTHERS
    for name, right, wrong, code, line in rows:
        assert GOOD[name].count(right) >= 1, right
        made = found(mine({name: GOOD[name].replace(right, wrong, 1)}))
        codes = {one[0] for one in made}
        assert codes == {code}, (wrong, made)
        assert {one[1] for one in made} == {f"pipelines/mine/{name}"}, (wrong, made)
        assert line in made[0][2], (wrong, made)


def test_an_example_has_a_whole_leaf():
    pipeline = load(mine({}), Report())
    for right, wrong, line in LEAF:
        text = GOOD["example.yaml"].replace(right, wrong, 1)
        assert text != GOOD["example.yaml"]
        text = text if "teacher:" in text else f"{text}teacher: []\nsamples: []\ndrops: []\n"
        report = Report()
        tree = read_example(mine({"example.yaml": text}), report)
        assert play(tree, pipeline, report) is None
        (one,) = report.diagnostics
        assert one.code.id == "P212"
        assert line in text.splitlines()[one.span.line - 1], one
        assert "object" not in one.message, "no word of Python's"


def test_a_template_for_no_known_language_is_told():
    text = GOOD["answer.de.j2"]
    for code, near in (("deu", "de"), ("DE", "de"), ("french", "fr"), ("xyzzy", "")):
        folder, report = mine({f"answer.{code}.j2": text}), Report()
        assert load(folder, report), "a warning"
        (one,) = report.diagnostics
        assert (one.span.path, one.code.id) == (f"pipelines/mine/answer.{code}.j2", "P205")
        assert (f"`answer.{near}.j2`" if near else "such as `de`") in one.hint
    assert found(mine({"answer.eu.j2": text, "answer.fr.j2": text})) == []


def test_a_finding_lies_where_its_text_does():
    """In a child's own file, or in that of its parent, and then it names the child."""
    parent = Folder("above", "pipelines/above", mine({}).files)
    for extra, files, code, place in (
        ("", {"answer.j2": b"{{ foo }}"}, "P202", "pipelines/mine/answer.j2"),
        ("settings: {tone: kind, tries: some}", {}, "P208", "pipelines/above/pipeline.yaml"),
        ("stages: []", {}, "P205", "pipelines/mine/pipeline.yaml"),
        ("", {"ask.j2": b"{{ count }}"}, "P213", "pipelines/above/pipeline.yaml"),
    ):
        text = f"version: 1\nabout: x\nextends: above\n{extra}\n".encode()
        report = Report()
        load(
            Folder("mine", "pipelines/mine", {"pipeline.yaml": text, **files}, {"above": parent}),
            report,
        )
        told = report.diagnostics[0]
        assert (told.code.id, told.span.path) == (code, place), told
        assert ("`mine`" in told.message) == ("above" in place), told


def taxonomy(root, files):
    for name, text in files.items():
        (root / "pipelines" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "pipelines" / name).write_text(text)
    return WorkTree(root)


def test_only_a_whole_folder_hides_a_built_in_one(tmp_path):
    made = {"exercise/pipeline.yml": "x", "notes/a.md": "x", "textbook/pipeline.yaml": "x: 1"}
    report = Report()
    known = folders(taxonomy(tmp_path, made), report)
    assert known["exercise"].shown == "exercise"
    assert known["textbook"].shown == "pipelines/textbook"
    assert "notes" not in known
    told = {one.span.path: (one.code.id, one.hint) for one in report.diagnostics}
    assert told["pipelines/exercise/pipeline.yml"] == (
        "P201",
        "rename `pipeline.yml` to `pipeline.yaml`",
    )
    assert sorted(told) == ["pipelines/exercise/pipeline.yml", "pipelines/notes"]


def test_a_new_child_says_what_its_parent_is_about(tmp_path):
    """Also where that is no plain YAML."""
    about = "Skills: new ones, # checked"
    files = {f"mine/{name}": text for name, text in GOOD.items()}
    files["mine/pipeline.yaml"] = GOOD["pipeline.yaml"].replace("All verbs.", f'"{about}"')
    taxonomy(tmp_path, files)
    for parent, name in (("mine", "child"), ("exercise", "exercise")):
        words = ["new", name, "--like", parent, "--extends", "--taxonomy", str(tmp_path)]
        assert CliRunner().invoke(app, words).exit_code == 0
    source = WorkTree(tmp_path)
    assert load(folders(source)["child"], Report()).about == about
    assert load(folders(source)["exercise"], Report()).folder.shown == "pipelines/exercise"


def test_a_pipeline_may_extend_the_one_that_it_hides(tmp_path):
    text = "version: 1\nabout: x\nextends: {}\nsettings: {{keep_min: 3}}\n"
    own = {f"{name}/pipeline.yaml": text.format(name) for name in ("skill-freeform", "mine")}
    known = folders(taxonomy(tmp_path, own))
    made = load(known["skill-freeform"], report := Report())
    assert made, report.diagnostics
    assert made.settings.defaults["keep_min"] == 3
    assert load(made.folder, Report()).digest == made.digest, "as another process loads it"
    assert made.digest != load(folders()["skill-freeform"], Report()).digest
    assert load(known["mine"], itself := Report()) is None
    assert [one.message for one in itself.diagnostics] == ["`mine` extends itself"]
