"""A TeacherSpec goes in; the teacher that it names comes out, not yet connected."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from compiler.curriculum import TeacherSpec, Tls
from compiler.diagnostics import Report
from compiler.teacher import Teacher
from compiler.teacher.extractive import Extractive
from compiler.teacher.scripted import Scripted, read_script


def make_teacher(
    spec: TeacherSpec, folder: Path, say: Callable[[str], None], report: Report | None = None
) -> Teacher:
    """Makes a teacher; the paths of a script and of TLS files count from `folder`, and what people
    should know while they wait goes to `say`. Raises OSError, TypeError or ValueError for a file
    that cannot be read.
    """
    if spec.kind == "scripted":
        path = folder / spec.file
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        return Scripted(read_script(path), f"scripted@{digest}")
    if spec.kind == "openai":
        from compiler.teacher.openai import OpenAI

        return OpenAI(_with_paths(spec, folder), say)
    if spec.kind == "batch":
        from compiler.teacher.batch import Batch

        return Batch(spec, say, report or Report())
    if spec.kind == "vllm":
        from compiler.teacher.managed import Managed

        return Managed(spec, folder, say)
    if spec.kind == "run-batch":
        from compiler.teacher.runbatch import RunBatch

        return RunBatch(spec, folder, say)
    return Extractive()


def _with_paths(spec: TeacherSpec, folder: Path) -> TeacherSpec:
    """The same teacher, its TLS files found from anywhere."""
    ca, cert, key = (
        str(folder / path) if path else "" for path in (spec.tls.ca, spec.tls.cert, spec.tls.key)
    )
    return replace(spec, tls=Tls(spec.tls.verify, ca, cert, key))
