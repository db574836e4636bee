"""A command line goes in; findings and an exit status come out: the compiler's commands."""

from compiler.cli.app import guarded, make_app

COMMANDS = {
    "check": "compiler.cli.check:check",
    "explain": "compiler.cli.explain:explain",
    "new": "compiler.cli.new:new",
    "preview": "compiler.cli.preview:preview",
    "plan": "compiler.cli.plan:plan",
    "compile": "compiler.cli.build:compile",
    "show": "compiler.cli.show:show",
    "value": "compiler.cli.value:value",
    "explore": "compiler.cli.explore:explore",
    "pipeline": "compiler.cli.pipeline:app",
    "grade": "compiler.cli.grade:grade",
    "calibrate": "compiler.cli.calibrate:calibrate",
    "journal": "compiler.cli.journal:app",
    "mock-teacher": "compiler.cli.mock:mock_teacher",
}
app = make_app(COMMANDS)

__all__ = ["COMMANDS", "app", "guarded", "make_app"]
