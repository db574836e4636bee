"""What runs in the sandbox is held in, and no code talks its way to a passed test."""

import asyncio
import errno
import os
import socket
import subprocess
import tempfile
import time

import pytest

from compiler.sandbox import walls
from compiler.sandbox.run import Limits, obstacle, run

LIMITS = Limits(seconds=1, megabytes=256)
CALLED = "assert f(2) == 4"
RIGHT = "def f(x):\n    return 4\n"
YES = """
class Yes:
    def __eq__(self, other): return True
    def __sub__(self, other): return 0
    __lt__ = __le__ = __contains__ = __abs__ = lambda *given: True
def f(x): return Yes()
"""
BUSY = "import time\ndef f(x):\n    while time.process_time() < 1.2: pass\n    return 4"
LARGE = "def f(x): return len(bytearray(300 << 20)) and 4"
V = """
class V:
    def __init__(self, *given): pass
    __eq__ = __lt__ = __gt__ = lambda self, other: True
    __mul__ = lambda self, other: self
"""
needs_walls = pytest.mark.skipif(walls.missing() != "", reason=walls.missing())

COLUMN = walls.MACHINES.get(os.uname().machine, (0, 0))[1]


def catching(line):
    """Code that answers rightly but does `line` first, and hides what comes of it."""
    return f"import os, ctypes\ntry:\n    {line}\nexcept BaseException: pass\n{RIGHT}"


def judged(*cases, limits=LIMITS):
    async def all_at_once():
        return await asyncio.gather(*(run(*case, limits=limits) for case in cases))

    return asyncio.run(all_at_once())


# code, tests, what the reason says
BAD = {
    "much time": (BUSY, CALLED, "1 s of processor time"),
    "an endless loop": ("while True: pass", CALLED, "1 s of processor time"),
    "much memory": (LARGE, CALLED, "MemoryError"),
    "a fork bomb": ("import os\nwhile True: os.fork()", CALLED, "the code started a process"),
    "a fork through C": (catching("ctypes.CDLL(None).fork()"), CALLED, "sandbox forbids"),
    "a program": (catching("os.system('true')"), CALLED, "the code started a process"),
    "a file in its folder": (catching("open('evil', 'w')"), CALLED, "the code wrote a file"),
    "a file elsewhere": (catching("open(%r, 'w')"), CALLED, "the code wrote a file"),
    "a file through C": (
        catching("ctypes.CDLL(None).open(%rb, 0o101, 0o600)"),
        CALLED,
        "sandbox forbids",
    ),
    "a folder": (catching("os.mkdir(%r)"), CALLED, "the code made a folder"),
    "a socket": (
        catching("import socket; socket.create_connection(('127.0.0.1', %d), 1)"),
        CALLED,
        "the code used the network",
    ),
    "a socket through C": (catching("ctypes.CDLL(None).socket(2, 1, 0)"), CALLED, "forbids"),
    "4 GB at once": ("x = [0] * (1 << 30)\n" + RIGHT, CALLED, "the code fails: MemoryError"),
    "sys.exit(0)": ("import sys\nsys.exit(0)", CALLED, "the code ended the program"),
    "sys.exit(0) when called": (
        "import sys\ndef f(x): sys.exit(0)",
        CALLED,
        "the code ended the program",
    ),
    "os._exit(0)": (
        "import os\ndef f(x): os._exit(0)",
        CALLED,
        "the code ended the program",
    ),
    "tests that exit": (RIGHT, "import os\nos._exit(0)\n" + CALLED, "ended before their verdict"),
    "tests that exit gently": (RIGHT, "import sys\nsys.exit(0)\n" + CALLED, "ended the program"),
    "a patched assert": (
        "import builtins, unittest\nbuiltins.AssertionError = StopIteration\n"
        "unittest.TestCase.assertEqual = lambda *given: None\ndef f(x): return 5",
        "import unittest\nclass T(unittest.TestCase):\n"
        "    def test_f(self): self.assertEqual(f(2), 4)",
        "5 != 4",
    ),
    "a test that prints PASS": ("print('PASS')\n" + RIGHT, "print('PASS')", "assert nothing"),
    "a test that calls nothing": (RIGHT, "assert True", "never call the code"),
    "an object equal to all": (YES, CALLED, "f(2) gave an object"),
    "a class equal to all": (
        YES.replace("def f(x): return Yes()", "class f(Yes):\n    def __init__(self, x): pass"),
        CALLED,
        "gave an object",
    ),
    "an object near to all": (YES, "assert abs(f(2) - 4) < 0.1", "no plain value"),
    "an object of a test that equals all": (
        V,
        "v = V(1, 2) * 3\nassert v == (3, 6) or (3, 6) == v or [(3, 6)] == [v]",
        "does not hold",
    ),
    "an object of a test that is less than all": (V, "assert V(1) < 5", "no plain value: V"),
    "an order that should raise": (
        V,
        "try: V(1) < 'a'\nexcept TypeError: pass\nelse: assert False",
        "no plain value: V",
    ),
    "an object that holds all": (YES, "assert 4 in f(2)", "not iterable"),
    "a built-in of its own": (
        "def abs(x): return 0\ndef f(x): return 9",
        "assert abs(f(2) - 4) < 0.1",
        "f(2) gave 9",
    ),
    "a kill": (catching("os.kill(os.getppid(), 9)"), CALLED, "the code sent a signal"),
    "a kill through C": (catching("ctypes.CDLL(None).kill(os.getppid(), 9)"), CALLED, "forbids"),
    "a thread in spaces of its own": (
        catching(f"ctypes.CDLL(None).syscall({walls.CHOSEN['clone'][COLUMN]}, 0x30000, 0, 0)"),
        CALLED,
        "forbids",
    ),
    "a flood": ("def f(x):\n    while True: print('x' * 9999)", CALLED, "printed more than 1 MB"),
    "a forged verdict": (
        "import os\nfor end in range(3, 64):\n"
        "    try: os.write(end, b'x \"\"')\n    except OSError: pass\ndef f(x): return 5",
        CALLED,
        "the code",
    ),
    "a caught stop": (
        "import sys\ndef f(x): sys.exit(0)",
        "try:\n    assert f(2) == 4\nexcept BaseException: pass",
        "the code ended the program",
    ),
    "more memory": (
        "import resource\nhuge = (1 << 40, 1 << 40)\n"
        "resource.setrlimit(resource.RLIMIT_AS, huge)\n" + RIGHT,
        CALLED,
        "the code fails",
    ),
    "an equal list": (
        "class L(list):\n    def __eq__(self, other): return True\ndef f(x): return L([5])",
        "assert f(2) == [4]",
        "does not hold",
    ),
    "a look into the tests": (
        "import os\nopen(f'/proc/{os.getppid()}/fd/0').read()\n" + RIGHT,
        CALLED,
        "the code fails: PermissionError",
    ),
    "no function": ("def g(x): return 4", CALLED, "NameError"),
    "no Python": ("def f(x) return 4", CALLED, "the code fails: SyntaxError"),
    "a wrong answer": ("def f(x): return 5", CALLED, "f(2) gave 5"),
}


@needs_walls
def test_what_is_bad_fails_in_time_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "folders"))
    (tmp_path / "folders").mkdir()
    target = str(tmp_path / "evil")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        cases = {
            name: (code.replace("%rb", repr(target.encode())).replace("%r", repr(target)), tests)
            for name, (code, tests, _) in BAD.items()
        }
        cases = {name: (c.replace("%d", str(port)), t) for name, (c, t) in cases.items()}
        started = time.monotonic()
        reasons = dict(zip(cases, judged(*cases.values()), strict=True))
        took = time.monotonic() - started
    assert {n: r for n, r in reasons.items() if BAD[n][2] not in r or not r} == {}
    assert took < 60  # they share the cores with other tests; each is bounded by its own limit
    assert [path.name for path in tmp_path.rglob("*")] == ["folders"]


# the same in harmless form, where it is allowed or does nothing wrong
GOOD = {
    "a function": ("def f(x): return x * 2", CALLED),
    "in place": ("def s(a): a.sort()", "a = [3, 1]\ns(a)\nassert a == [1, 3]"),
    "operators": (
        "class V:\n    def __init__(self, x): self.x = x\n"
        "    def __mul__(self, k): return V(self.x * k)\n"
        "    def __eq__(self, other): return self.x == other.x",
        "assert V(2) * 3 == V(6) and (V(2) * 3).x == 6 and isinstance(V(1), V) and V(1) != V(2)\n"
        "try: V(1) < 5\nexcept TypeError: pass\nelse: assert False",
    ),
    "in": (
        "class Even:\n    def __contains__(self, n): return n % 2 == 0",
        "assert 4 in Even() and 3 not in Even()",
    ),
    "what extends a plain value": (
        "class V(tuple):\n    def __mul__(self, k): return V(x * k for x in self)",
        "assert V((1, 2)) * 3 == (3, 6) and (3, 5) < V((3, 6))",
    ),
    "a Counter": (
        "from collections import Counter\ndef c(s): return Counter(s)",
        "assert c('aab') == {'a': 2, 'b': 1} and isinstance(c('a'), dict)\n"
        "assert c('aab').most_common(1) == [('a', 2)]",
    ),
    "values of many types": (
        "import datetime, decimal, fractions\ndef same(x): return x\n"
        "def made(): return (datetime.date(2024, 2, 29), decimal.Decimal('0.1'),"
        " fractions.Fraction(1, 3), 1j, b'x', {1}, None, 10 ** 50, float('inf'))",
        "import datetime, decimal, fractions\n"
        "assert made() == (datetime.date(2024, 2, 29), decimal.Decimal('0.1'),"
        " fractions.Fraction(1, 3), 1j, b'x', {1}, None, 10 ** 50, float('inf'))\n"
        "assert same({(1, 2): [None, True]}) == {(1, 2): [None, True]}",
    ),
    "a generator": ("def g(n):\n    yield from range(n)", "assert list(g(3)) == [0, 1, 2]"),
    "an exception": (
        "class Odd(ValueError): pass\ndef f(x): raise Odd('x')",
        "try: f(1)\nexcept Odd as odd: assert str(odd) == 'x'\nelse: assert False",
    ),
    "a built-in exception": (
        "def f(path): return open(path)\ndef g(): return input()",
        "for call in (lambda: f('/none'), g):\n    try: call()\n    except (OSError, EOFError):"
        " pass\n    else: assert False\n",
    ),
    "a function given": ("def g(f, x): return f(x) + 1", "assert g(lambda v: v * 10, 2) == 21"),
    "async": (
        "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x",
        "import asyncio\nassert asyncio.run(f(3)) == 3",
    ),
    "what it prints": (
        "def f(): print('hi')",
        "import io, contextlib\ntold = io.StringIO()\n"
        "with contextlib.redirect_stdout(told): f()\nassert told.getvalue() == 'hi\\n'",
    ),
    "unittest": (
        RIGHT,
        "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n"
        "    def test_f(self): self.assertEqual(f(2), 4)\n"
        "    def test_g(self):\n        with self.assertRaises(TypeError): f()",
    ),
    "check(candidate)": (RIGHT, "def check(candidate):\n    assert candidate(2) == 4", ["f"]),
    "test functions": (RIGHT, "def test_f():\n    assert f(2) == 4"),
    "a thread": (
        "import threading\nheld = []\nt = threading.Thread(target=lambda: held.append(4))\n"
        "t.start()\nt.join()\ndef f(x): return held[0]",
        CALLED,
    ),
    "the library": (
        "import re, json, random, sqlite3, zoneinfo, ssl, logging, heapq, getpass\n"
        "def f(): return zoneinfo.ZoneInfo('UTC').key",
        "assert f() == 'UTC'",
    ),
    "its own max": ("def max(a, b): return a + b", "assert max(1, 2) == 3", ["max"]),
}


@needs_walls
def test_what_is_good_passes():
    reasons = dict(zip(GOOD, judged(*GOOD.values()), strict=True))
    assert {name: reason for name, reason in reasons.items() if reason} == {}


# What a process can do to another of the same user, each tried on `pid`: the error that stops it.
# By number on x86_64 and aarch64, and what it is given.
CALLS = {
    "tgkill": ((234, 131), "pid, pid, 9", errno.EPERM),
    "tkill": ((200, 130), "pid, 9", errno.EPERM),
    "rt_sigqueueinfo": ((129, 138), "pid, 9, info", errno.EPERM),
    "rt_tgsigqueueinfo": ((297, 240), "pid, pid, 9, info", errno.EPERM),
    "pidfd_open": ((434, 434), "pid, 0", errno.EPERM),
    "pidfd_send_signal": ((424, 424), "0, 9, None, 0", errno.EPERM),
    "timer_create": ((222, 107), "0, info, info", errno.EPERM),
    "prlimit64": ((302, 261), "pid, 0, bytes(16), None", errno.EPERM),
    "prlimit64, to read": ((302, 261), "pid, 0, None, info", errno.EPERM),
    "setpriority": ((141, 140), "0, pid, 19", errno.EPERM),
    "sched_setscheduler": ((144, 119), "pid, 3, bytes(4)", errno.EPERM),
    "sched_setaffinity": ((203, 122), "pid, 8, bytes([1] + [0] * 7)", errno.EPERM),
    "ioprio_set": ((251, 30), "1, pid, 0x6000", errno.EPERM),
    "prctl": ((157, 167), "1, 9, 0, 0, 0", errno.EPERM),
    "personality": ((135, 92), "-1", errno.EPERM),
    "keyctl": ((250, 219), "0, -3, 0", errno.EPERM),
    "perf_event_open": ((298, 241), "info, pid, -1, -1, 0", errno.EPERM),
    "userfaultfd": ((323, 282), "1", errno.EPERM),
    "bpf": ((321, 280), "0, info, 0", errno.EPERM),
    "madvise, a broken page": ((28, 233), "None, 0, 100", errno.EINVAL),
    "futex, by priority": ((202, 98), "None, 6, 0, None", errno.ENOSYS),
}
USES = {
    "F_SETOWN": ("fcntl.fcntl(end, 8, pid)", errno.EPERM),
    "F_SETOWN_EX": ("fcntl.fcntl(end, 15, struct.pack('ii', 1, pid))", errno.EPERM),
    "F_SETSIG": ("fcntl.fcntl(end, 10, 9)", errno.EPERM),
    "F_SETFL": ("fcntl.fcntl(end, 4, os.O_ASYNC | os.O_NONBLOCK)", errno.EPERM),
    "F_SETPIPE_SZ": ("fcntl.fcntl(end, 1031, 1 << 20)", errno.EPERM),
    "FIOASYNC": ("fcntl.ioctl(end, 0x5452, struct.pack('i', 1))", errno.ENOTTY),
    "FIOSETOWN": ("fcntl.ioctl(a, 0x8901, struct.pack('i', pid))", errno.ENOTTY),
    "SIOCSPGRP": ("fcntl.ioctl(a, 0x8902, struct.pack('i', pid))", errno.ENOTTY),
    "TIOCSTI": ("fcntl.ioctl(end, 0x5412, b'x')", errno.ENOTTY),
    "F_SETFL, harmless": ("fcntl.fcntl(end, 4, fcntl.fcntl(end, 3) | os.O_NONBLOCK)", 0),
    "F_DUPFD_CLOEXEC": ("os.close(fcntl.fcntl(end, 1030, 0))", 0),
}
TRYING = """
import ctypes, fcntl, os, socket, struct
def tried(pid):
    c, info = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(128)
    (end, to), (a, b), found = os.pipe(), socket.socketpair(), {}
    def call(*given):
        if c.syscall(*given) < 0: raise OSError(ctypes.get_errno(), "")
    for name, line in LINES.items():
        try: exec(line)
        except OSError as no: found[name] = no.errno
        else: found[name] = 0
    try: os.write(to, b"x")
    finally: return found
"""


@needs_walls
def test_no_other_process_can_be_reached(monkeypatch):
    calls = {n: (f"call({at[COLUMN]}, {given})", no) for n, (at, given, no) in CALLS.items()}
    tries = calls | USES
    expected = {name: no for name, (_, no) in tries.items()}

    def ended(lines, tests):
        """Whether the process that the code aims at was ended, and the verdict."""
        with subprocess.Popen(["sleep", "60"]) as aim:
            verdict = judged((f"LINES = {lines!r}" + TRYING, tests.replace("PID", str(aim.pid))))
            try:
                return aim.wait(0.05), verdict
            except subprocess.TimeoutExpired:
                aim.kill()
                return None, verdict

    lines = {name: line for name, (line, _) in tries.items()}
    assert ended(lines, f"assert tried(PID) == {expected}, tried(PID)") == (None, [""])
    monkeypatch.setattr(walls, "missing", lambda: "no seccomp filters")
    monkeypatch.setenv("TRIVIUM_SANDBOX", "weak")
    signals = {name: USES[name][0] for name in ("F_SETOWN", "F_SETSIG", "F_SETFL")}
    # the control: without the walls the same lines end it
    assert ended(signals, f"assert tried(PID) == {dict.fromkeys(signals, 0)}") == (-9, [""])


@needs_walls
def test_nothing_of_ours_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVIUM_TEST_KEY", "sk-secret")
    secret = tmp_path / "key"
    secret.write_text("sk-secret")
    code = (
        "import os\ndef f(path):\n"
        "    try: return 'sk-secret' in open(path.format(os.getppid()), errors='replace').read()\n"
        "    except OSError as no: return type(no).__name__\n"
        "def g(): return dict(os.environ)"
    )
    paths = [str(secret), "/proc/self/environ", "/proc/{}/environ", f"/proc/{os.getpid()}/environ"]
    tests = f"for path in {paths!r}:\n    assert f(path) == 'PermissionError', path\n"
    assert judged((code, tests + "assert 'TRIVIUM_TEST_KEY' not in g()")) == [""]


def test_a_control_without_walls_lets_the_fixture_through(tmp_path, monkeypatch):
    """The same file, written through C: only the kernel's walls stop it."""
    monkeypatch.setattr(walls, "missing", lambda: "no Landlock")
    target = tmp_path / "evil"
    code = catching(f"ctypes.CDLL(None).open({str(target).encode()!r}, 0o101, 0o600)")
    assert judged((code, CALLED)) == ["not run: no Landlock"]
    assert not target.exists()
    monkeypatch.setenv("TRIVIUM_SANDBOX", "weak")
    assert obstacle() == ""
    assert judged((code, CALLED)) == [""]
    assert target.exists()
    assert target.stat().st_size == 0


def test_a_control_with_more_time_and_memory_passes():
    more = Limits(seconds=4, megabytes=1024)
    assert judged((BUSY, CALLED), (LARGE, CALLED), limits=more) == ["", ""]


@needs_walls
def test_the_system_calls_are_those_of_this_machine():
    """Every name of the tables stands for one number, and none is both allowed and forbidden."""
    for column in (0, 1):
        tables = (walls.ALLOWED, walls.FORBIDDEN, walls.CHOSEN)
        numbers = [n[column] for table in tables for n in table.values() if n[column] >= 0]
        assert len(numbers) == len(set(numbers))
    assert len({*walls.ALLOWED, *walls.FORBIDDEN, *walls.CHOSEN}) > 100
