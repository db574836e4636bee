"""A command line goes in; the whole `trivium` command, compiler and training, does it.

A file of its own, and the last, because it is the only one that knows of both.
"""

from typing import NoReturn

from compiler.cli import COMMANDS, guarded, make_app

app = make_app(
    {
        **COMMANDS,
        "train": "training.commands:train",
        "evaluate": "training.commands:evaluate",
        "chat": "training.commands:chat",
        "report": "training.commands:report",
        "run": "training.commands:whole_road",
    }
)


def main() -> NoReturn:
    """The command's entry point."""
    guarded(app)


if __name__ == "__main__":
    main()
