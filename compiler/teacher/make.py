"""A TeacherSpec goes in; the teacher that it names comes out, not yet connected."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from compiler.curriculum import TeacherSpec
from compiler.teacher import Teacher
from compiler.teacher.extractive import Extractive
from compiler.teacher.scripted import Scripted, read_script


def make_teacher(spec: TeacherSpec, folder: Path, say: Callable[[str], None]) -> Teacher:
    """Makes a teacher; a script's path counts from `folder`, and what people should know
    while they wait goes to `say`. Raises OSError, TypeError or
    ValueError for a script that cannot be read.
    """
    if spec.kind == "scripted":
        path = folder / spec.file
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        return Scripted(read_script(path), f"scripted@{digest}")
    if spec.kind == "openai":
        from compiler.teacher.openai import OpenAI

        return OpenAI(spec)
    return Extractive()
