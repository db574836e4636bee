"""A command line goes in; the whole `trivium` command, compiler and training, does it.

A file of its own, and the last, because it is the only one that knows of both.
"""

from typing import NoReturn

from compiler.cli import COMMANDS, guarded, make_app

app = make_app(
    {
        **COMMANDS,
        "train": "training.commands.train:train",
        "evaluate": "training.commands.evaluate:evaluate",
        "chat": "training.commands.chat:chat",
        "report": "training.commands.report:report",
        "export": "training.commands.export:write_export",
        "serve": "training.commands.serve:serve",
        "run": "training.commands.road:whole_road",
    }
)


def main() -> NoReturn:
    """The command's entry point."""
    guarded(app)


if __name__ == "__main__":
    main()
