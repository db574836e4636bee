"""A job on standard input goes in; its verdict on standard output comes out, as the last thing.

A file of its own because it is what a new interpreter runs, without any library but Python's own.
The code's process is split off first, before the job is read: it can know neither the tests nor the
number that makes a verdict valid, and it has no pipe to write one to. An end without a verdict is a
failure, whatever the exit status says.
"""

import ast
import builtins
import json
import os
import signal
import sys
from collections.abc import Callable
from types import CoroutineType, FunctionType, ModuleType, TracebackType
from typing import Any

from compiler.sandbox import walls
from compiler.sandbox.far import Far, Link, Stopped
from compiler.sandbox.served import Served
from compiler.sandbox.watch import watch

_Job = dict[str, object]


def main(seconds: int, megabytes: int, strong: bool) -> None:
    """Starts the code's process, reads the job, and writes the verdict on it."""
    sys.set_int_max_str_digits(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    walls.limit(seconds, megabytes)
    walls.die_with_parent()
    asked, questions = os.pipe()
    told, answers = os.pipe()
    code = os.fork()
    if code == 0:
        walls.die_with_parent()
        for end in (questions, told):
            os.close(end)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        _serve(Served(asked, answers), strong)
    for end in (asked, answers):
        os.close(end)
    with open(0, "rb", closefd=False) as standard_input:
        job = json.load(standard_input)
    verdict = os.dup(1)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)

    def tell(why: str) -> None:
        os.write(verdict, f"{job['nonce']} {json.dumps(why)}".encode()[:4096])

    if strong:
        walls.close_files()
        walls.close_calls()
    watch(lambda said: tell(f"the tests {said}"))
    link = Link(questions, told)
    why = _judged(job, link)
    if link.stopped:
        why = str(link.stopped) or _ended(code, seconds)
    tell(why[:500])
    os._exit(0)


def _serve(served: Served, strong: bool) -> None:
    """Never returns."""
    try:
        if strong:
            walls.close_files()
            walls.close_calls()
        else:
            walls.limit_processes()
        watch(served.tell)
        served.serve()
    finally:
        os._exit(0)


def _ended(code: int, seconds: int) -> str:
    """Why the code's process is gone."""
    _, status = os.waitpid(code, 0)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if not number:
        return "the code ended the program"
    if number == signal.SIGSYS:
        return "the code did what the sandbox forbids"
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return f"the code took more than {seconds} s of processor time"
    return f"the code crashed with signal {number}"


def _judged(job: _Job, link: Link) -> str:
    """Why the tests fail, "" where they pass."""
    code, tests = str(job["code"]), str(job["tests"])
    functions = job["functions"]
    assert isinstance(functions, list)
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError) as wrong:
        return f"the tests are not valid Python: {wrong}"
    if not any(map(_asserts, ast.walk(tree))):
        return "the tests assert nothing"
    try:
        names, classes = _defined(code)
        found = link.load(code, functions or names, classes)
    except (Stopped, Exception) as raised:
        return f"the code fails: {_words(raised)}"
    for name in functions:
        if name not in found:
            return f"the code has no `{name}`"
    module = ModuleType("solution")
    module.__dict__.update(found)
    sys.modules["solution"] = module
    space: dict[str, object] = {"__name__": "tests", **found}
    try:
        exec(compile(tree, "tests", "exec"), space)
        for run in _runs(space, functions or names):
            run()
    except AssertionError as failed:
        said = f": {failed}" if str(failed) else ""
        return f"{_where(failed, tests)} does not hold{said}" + (link.last and f"; {link.last}")
    except SystemExit:
        return "the tests ended the program"
    except (Stopped, Exception) as raised:
        return f"{_where(raised, tests)} raises {_words(raised)}"
    if not link.calls and any(isinstance(value, Far) for value in found.values()):
        return "the tests never call the code"
    return ""


def _asserts(node: ast.AST) -> bool:
    """Whether something could fail here."""
    if isinstance(node, ast.Assert | ast.Raise):
        return True
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr.startswith(("assert", "fail"))


def _defined(code: str) -> tuple[list[str], frozenset[str]]:
    """The names that the code defines itself, and which are classes.

    Not those of built-ins and of Python's modules: a test that says `abs` means Python's.
    """
    names: dict[str, bool] = {}
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[node.name] = isinstance(node, ast.ClassDef)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {one.id: False for one in targets if isinstance(one, ast.Name)}
    taken = sys.stdlib_module_names | set(dir(builtins))
    own = [name for name in names if name not in taken and not name.startswith("__")]
    return own, frozenset(name for name, is_class in names.items() if is_class)


def _runs(space: dict[str, object], names: list[str]) -> list[Callable[[], object]]:
    """What is to be run of what the tests define: `test...` functions, `check(candidate)`, and the
    classes of unittest.
    """
    runs: list[Callable[[], object]] = []
    for name, value in list(space.items()):
        if isinstance(value, FunctionType):
            wanted = value.__code__.co_argcount - len(value.__defaults__ or ())
            if name.startswith("test") and not wanted:
                runs.append(_finished(value))
            elif name == "check" and wanted == 1 and len(names) == 1:
                runs.append(lambda check=value: check(space[names[0]]))  # type: ignore[misc]
        elif isinstance(value, type) and "unittest" in sys.modules:
            import unittest

            if issubclass(value, unittest.TestCase) and value.__module__ == "tests":
                runs.append(lambda case=value: _run_case(case))  # type: ignore[misc]
    return runs


def _finished(test: Callable[[], object]) -> Callable[[], object]:
    def run() -> None:
        result: Any = test()
        if isinstance(result, CoroutineType):
            import asyncio

            asyncio.run(result)

    return run


def _run_case(case: type) -> None:
    """Runs a class of unittest. Raises AssertionError for what fails or is left out."""
    import unittest

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    for test, said in [*result.failures, *result.errors, *result.skipped]:
        raise AssertionError(f"{test.id()}: {said.strip().splitlines()[-1]}")
    for test in result.unexpectedSuccesses:
        raise AssertionError(f"{test.id()} was expected to fail")


def _where(raised: BaseException, tests: str) -> str:
    """The line of the tests, with its text."""
    line = 0
    step: TracebackType | None = raised.__traceback__
    while step:
        if step.tb_frame.f_code.co_filename == "tests":
            line = step.tb_lineno
        step = step.tb_next
    return f"line {line}: `{tests.splitlines()[line - 1].strip()[:120]}`" if line else "a test"


def _words(raised: BaseException) -> str:
    return f"{type(raised).__name__}: {raised}" if str(raised) else type(raised).__name__
