"""The laws that a program can check: one-way imports, a place for every module, a light start."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = (
    "compiler",
    "compiler.codes",
    "compiler.diagnostics",
    "compiler.lines",
    "compiler.resources",
    "compiler.progress",
    "compiler.source.file",
    "compiler.source.worktree",
    "compiler.source.revision",
    "compiler.source",
    "compiler.tree.tokens",
    "compiler.tree.compose",
    "compiler.tree.values",
    "compiler.tree.mutes",
    "compiler.tree.syntax.scene",
    "compiler.tree.syntax.layout",
    "compiler.tree.syntax.letters",
    "compiler.tree.syntax",
    "compiler.tree",
    "compiler.schema.violations",
    "compiler.schema",
    "compiler.format",
    "compiler.fix.sheet",
    "compiler.fix.text",
    "compiler.fix.keys",
    "compiler.fix.order",
    "compiler.fix.longtext",
    "compiler.fix.syntax",
    "compiler.fix",
    "compiler.leaf",
    "compiler.language",
    "compiler.curriculum.values",
    "compiler.curriculum.teacher",
    "compiler.curriculum.settings",
    "compiler.curriculum",
    "compiler.documents.text",
    "compiler.documents.patterns",
    "compiler.documents.address",
    "compiler.documents.fetch",
    "compiler.documents.chunk",
    "compiler.documents",
    "compiler.licences",
    "compiler.permit",
    "compiler.delimiters",
    "compiler.terms",
    "compiler.refusal",
    "compiler.check.finding",
    "compiler.check.facts",
    "compiler.check.digest",
    "compiler.check.look",
    "compiler.check.questions",
    "compiler.check.language",
    "compiler.check.grounding",
    "compiler.check.sources",
    "compiler.check.licences",
    "compiler.check.search",
    "compiler.check.texts",
    "compiler.check.hidden",
    "compiler.check.room",
    "compiler.check.trust",
    "compiler.check.secrets",
    "compiler.check.personal",
    "compiler.check.within",
    "compiler.check.across",
    "compiler.check.authors",
    "compiler.check",
    "compiler.cache",
    "compiler.lost",
    "compiler.examine",
    "compiler.front",
    "compiler.draft.place",
    "compiler.draft.table.grid",
    "compiler.draft.table.plain",
    "compiler.draft.table.shown",
    "compiler.draft.table.workbook",
    "compiler.draft.table",
    "compiler.draft.text",
    "compiler.draft.rows",
    "compiler.draft",
    "compiler.markdown",
    "compiler.render.quote",
    "compiler.render.human",
    "compiler.render.concise",
    "compiler.render.github",
    "compiler.render.json",
    "compiler.render.junit",
    "compiler.render.sarif",
    "compiler.render",
    "compiler.sandbox",
    "compiler.sandbox.walls",
    "compiler.sandbox.wire",
    "compiler.sandbox.watch",
    "compiler.sandbox.served",
    "compiler.sandbox.far",
    "compiler.sandbox.inside",
    "compiler.sandbox.run",
    "compiler.draw.tokens",
    "compiler.draw.small",
    "compiler.draw.vocabulary",
    "compiler.draw.window",
    "compiler.draw.code",
    "compiler.draw.checks",
    "compiler.draw.drawn",
    "compiler.draw",
    "compiler.verify.said",
    "compiler.verify.units",
    "compiler.verify.number",
    "compiler.verify.arithmetic",
    "compiler.verify.numeric",
    "compiler.verify.text",
    "compiler.verify.structure",
    "compiler.verify.citation",
    "compiler.verify.python_tests",
    "compiler.verify.agreement",
    "compiler.verify.checker",
    "compiler.verify.lasting",
    "compiler.verify",
    "compiler.lower",
    "compiler.prompt",
    "compiler.pipeline.stages",
    "compiler.pipeline.folder",
    "compiler.pipeline.columns",
    "compiler.pipeline.read",
    "compiler.pipeline.load",
    "compiler.pipeline",
    "compiler.ground",
    "compiler.teacher",
    "compiler.journal.key",
    "compiler.journal.table",
    "compiler.journal.store",
    "compiler.journal.exchange",
    "compiler.journal.sweep",
    "compiler.journal",
    "compiler.teacher.facts",
    "compiler.teacher.variations",
    "compiler.teacher.extractive",
    "compiler.teacher.scripted",
    "compiler.teacher.wire",
    "compiler.teacher.budget",
    "compiler.teacher.pace",
    "compiler.teacher.endpoint",
    "compiler.teacher.desk",
    "compiler.teacher.openai",
    "compiler.teacher.found",
    "compiler.teacher.batchfile",
    "compiler.teacher.batchfolder",
    "compiler.teacher.batch",
    "compiler.teacher.sight",
    "compiler.teacher.leash",
    "compiler.teacher.flags",
    "compiler.teacher.server",
    "compiler.teacher.managed",
    "compiler.teacher.runbatch",
    "compiler.teacher.make",
    "compiler.teacher.counting",
    "compiler.reply",
    "compiler.near.reach",
    "compiler.near.index",
    "compiler.near.marks",
    "compiler.near.added",
    "compiler.near",
    "compiler.novelty",
    "compiler.expand.sample",
    "compiler.expand.print",
    "compiler.expand.order",
    "compiler.expand.novel",
    "compiler.expand.asker",
    "compiler.expand.trip",
    "compiler.expand.verbs",
    "compiler.expand.steps",
    "compiler.expand.walk",
    "compiler.expand.engine",
    "compiler.expand",
    "compiler.imagine",
    "compiler.builds",
    "compiler.calibrate.item",
    "compiler.calibrate.criteria",
    "compiler.calibrate.measure",
    "compiler.calibrate.grades",
    "compiler.calibrate.choose",
    "compiler.calibrate.order",
    "compiler.calibrate.judges",
    "compiler.calibrate.verdict",
    "compiler.calibrate.calibration",
    "compiler.calibrate",
    "compiler.worth.features",
    "compiler.worth.forest",
    "compiler.worth",
    "compiler.bestof",
    "compiler.rivals",
    "compiler.answered",
    "compiler.plan",
    "compiler.cost",
    "compiler.spool",
    "compiler.datasets",
    "compiler.sources",
    "compiler.sift.look",
    "compiler.sift.refusal",
    "compiler.sift.foreign",
    "compiler.sift.safety",
    "compiler.sift.personal",
    "compiler.sift.factoid",
    "compiler.sift.grounding",
    "compiler.sift.rules",
    "compiler.sift.repeats",
    "compiler.sift.leaks",
    "compiler.sift.novel",
    "compiler.sift.meaning",
    "compiler.sift.references",
    "compiler.sift",
    "compiler.features",
    "compiler.value.cs",
    "compiler.value.bayes",
    "compiler.value.knn",
    "compiler.value.loo",
    "compiler.value.point",
    "compiler.value.sums",
    "compiler.value",
    "compiler.select.surprisal",
    "compiler.select.utility",
    "compiler.select.pool",
    "compiler.select.room",
    "compiler.select.near",
    "compiler.select.mechanism",
    "compiler.select.numbers",
    "compiler.select",
    "compiler.mix.weigh",
    "compiler.mix.draws",
    "compiler.mix.limits",
    "compiler.mix",
    "compiler.diversity",
    "compiler.poison.read",
    "compiler.poison.candidate",
    "compiler.poison",
    "compiler.card",
    "compiler.cluster",
    "compiler.example",
    "compiler.program",
    "compiler.emit",
    "compiler.silence",
    "compiler.finish",
    "compiler.driver",
    "compiler.preview",
    "compiler.story",
    "compiler.page.read",
    "compiler.page.books",
    "compiler.page.variety",
    "compiler.page.rivals",
    "compiler.page.entries",
    "compiler.page",
    "compiler.summary",
    "compiler.mock.options",
    "compiler.mock.prompt",
    "compiler.mock.answers",
    "compiler.mock.faults",
    "compiler.mock.stats",
    "compiler.mock.server",
    "compiler.mock",
    "compiler.cli.base",
    "compiler.cli.asked",
    "compiler.cli.mend",
    "compiler.cli.check",
    "compiler.cli.explain",
    "compiler.cli.costs",
    "compiler.cli.offer",
    "compiler.cli.asking",
    "compiler.cli.calibrate",
    "compiler.cli.grade",
    "compiler.cli.plan",
    "compiler.cli.build",
    "compiler.cli.show",
    "compiler.cli.explore",
    "compiler.cli.ask",
    "compiler.cli.new",
    "compiler.cli.preview",
    "compiler.cli.mock",
    "compiler.cli.journal",
    "compiler.cli.pipeline",
    "compiler.cli.value",
    "compiler.cli.app",
    "compiler.cli",
    "compiler.cli.__main__",
    "training",
    "training.machine",
    "training.mistakes",
    "training.recipe",
    "training.data",
    "training.replay",
    "training.encode",
    "training.order",
    "training.metrics",
    "training.student",
    "training.talk",
    "training.ask",
    "training.choose",
    "training.watch",
    "training.trainer",
    "training.phase",
    "training.run",
    "training.evaluate",
    "training.card",
    "training.report.plots",
    "training.report.asked",
    "training.report",
    "training.library",
    "training.commands.base",
    "training.commands.train",
    "training.commands.evaluate",
    "training.commands.chat",
    "training.commands.report",
    "training.commands.road",
    "training.commands",
    "training.cli",
)
HEAVY = tuple("torch vllm transformers datasets ray pyarrow aiohttp trl peft openpyxl".split())
TRAINING_MAY_USE = {
    "compiler",
    "compiler.codes",
    "compiler.diagnostics",
    "compiler.resources",
    "compiler.progress",
    "compiler.source",
    "compiler.tree",
    "compiler.schema",
    "compiler.teacher",
    "compiler.verify",
}


def modules():
    for package in ("compiler", "training"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = {name for name, _ in modules()}
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in names else node.module


def test_every_module_has_a_place_and_every_place_a_module():
    assert sorted(ORDER) == sorted(name for name, _ in modules())


@pytest.mark.parametrize("name, path", list(modules()))
def test_a_module_imports_only_from_its_left(name, path):
    left = set(ORDER[: ORDER.index(name)])
    ours = {found for found in imports(path) if found.split(".")[0] in ("compiler", "training")}
    assert ours <= left, f"{name} reaches right: {sorted(ours - left)}"


def test_the_import_reader_sees_a_wrong_import(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f():\n    from compiler.driver import expand\n")
    assert "compiler.driver" in set(imports(wrong))


@pytest.mark.parametrize("name, path", [m for m in modules() if m[0].startswith("training.")])
def test_training_reads_the_build_and_little_else_of_the_compiler(name, path):
    used = {found for found in imports(path) if found.startswith("compiler")}
    if not name.startswith(("training.commands", "training.cli")):
        assert used <= TRAINING_MAY_USE, sorted(used - TRAINING_MAY_USE)


@pytest.mark.parametrize("command", [["--help"], ["check", "--taxonomy", "taxonomy"], ["explain"]])
def test_light_start(command):
    code = (
        "import sys\n"
        f"sys.argv = ['trivium', *{command!r}]\n"
        "from training.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "LOADED []" in done.stdout, done.stdout[-500:] + done.stderr[-500:]


def test_no_file_is_left_to_grow():
    long = {
        str(path.relative_to(ROOT)): lines
        for _, path in modules()
        if (lines := len(path.read_text("utf-8").splitlines())) > 400
    }
    assert not long, long
