"""A merged model's folder goes in; one file for llama.cpp comes out, by llama.cpp's own converter.

A file of its own because the converter is a program of another project, which is found and run and
not imported: it follows each new kind of model, and knows the file's format better than a copy.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

SCRIPT = "convert_hf_to_gguf.py"
COMMAND = "llama-convert-hf-to-gguf"
MODULE = "convert_hf_to_gguf"
FOLDER = "LLAMA_CPP_DIR"
OUTTYPES = ("f16", "bf16", "q8_0")
_TOLD = 3
_LONGEST = 300


def find(named: Path | None) -> tuple[str, ...]:
    """The words that start the converter; none where it is not installed.

    It is looked for in the folder `named`, else in $LLAMA_CPP_DIR, else on the PATH, else as a
    Python package.
    """
    folder = named or (Path(os.environ[FOLDER]) if os.environ.get(FOLDER) else None)
    if folder is not None:
        script = folder.expanduser() / SCRIPT
        return (sys.executable, str(script)) if script.is_file() else ()
    for name in (SCRIPT, COMMAND):
        if found := shutil.which(name):
            return (found,)
    # -P: the current folder may hold a file of that name, which nobody meant.
    return (sys.executable, "-P", "-m", MODULE) if find_spec(MODULE) else ()


def convert(words: Sequence[str], model: Path, file: Path, outtype: str) -> str:
    """Runs the converter; "" where it made the file, else what it said last."""
    asked = [*words, str(model), "--outfile", str(file), "--outtype", outtype]
    try:
        done = subprocess.run(
            asked,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as wrong:
        return f"`{words[0]}` cannot be run: {wrong.strerror}"
    if done.returncode == 0 and file.is_file():
        return ""
    lines = [line.strip()[:_LONGEST] for line in done.stdout.splitlines() if line.strip(" ^~")]
    told = "; ".join(lines[-_TOLD:]) or "it said nothing"
    return f"the converter ended with status {done.returncode}: {told}"
