"""Limits go in; a process that can no longer write a file, reach a network or start a process comes
out.

A file of its own because these are the kernel's promises, which hold whatever the code does: a
seccomp filter of system calls, Landlock for what can be read, resource limits. All work without
privileges, in containers too, and need no namespaces. See seccomp(2), landlock(7), setrlimit(2).
"""

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterable, Sequence

_libc = ctypes.CDLL(None, use_errno=True)
_PDEATHSIG, _DUMPABLE, _NO_NEW_PRIVS, _SECCOMP = 1, 4, 38, 22
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # by Landlock version: how many rights over files it knows
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _AND, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x45, 0x06
_EPERM, _EINVAL, _ENOTTY, _ENOSYS = 1, 22, 25, 38
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

# name: number on x86_64, on aarch64; -1 where the machine has none
_Calls = dict[str, tuple[int, int]]
ALLOWED: _Calls = {
    **{"read": (0, 63), "readv": (19, 65), "pread64": (17, 67), "lseek": (8, 62)},
    **{"write": (1, 64), "writev": (20, 66), "close": (3, 57)},
    **{"stat": (4, -1), "fstat": (5, 80), "lstat": (6, -1), "newfstatat": (262, 79)},
    **{"statx": (332, 291), "access": (21, -1), "faccessat": (269, 48)},
    **{"faccessat2": (439, 439), "getdents64": (217, 61), "getcwd": (79, 17)},
    **{"readlink": (89, -1), "readlinkat": (267, 78), "dup": (32, 23), "dup2": (33, -1)},
    **{"dup3": (292, 24), "pipe": (22, -1), "pipe2": (293, 59), "poll": (7, -1)},
    **{"ppoll": (271, 73), "select": (23, -1), "pselect6": (270, 72)},
    **{"epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, -1)},
    **{"epoll_pwait": (281, 22), "epoll_pwait2": (441, 441)},
    **{"sendto": (44, 206), "recvfrom": (45, 207)},  # on what `socketpair` gave
    **{"mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214)},
    **{"mremap": (25, 216), "rseq": (334, 293)},
    **{"set_robust_list": (273, 99), "sched_yield": (24, 124), "gettid": (186, 178)},
    **{"sched_getaffinity": (204, 123), "rt_sigaction": (13, 134)},
    **{"rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132)},
    **{"restart_syscall": (219, 128), "getitimer": (36, 102), "setitimer": (38, 103)},
    **{"alarm": (37, -1), "nanosleep": (35, 101), "clock_nanosleep": (230, 115)},
    **{"clock_gettime": (228, 113), "clock_getres": (229, 114), "time": (201, -1)},
    **{"gettimeofday": (96, 169), "times": (100, 153), "getrusage": (98, 165)},
    **{"getrlimit": (97, 163), "sysinfo": (99, 179), "uname": (63, 160)},
    **{"getpid": (39, 172), "getppid": (110, 173), "getuid": (102, 174)},
    **{"geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177)},
    **{"getrandom": (318, 278), "wait4": (61, 260), "exit": (60, 93)},
    "exit_group": (231, 94),
}
FORBIDDEN: _Calls = {
    **{"connect": (42, 203), "bind": (49, 200), "listen": (50, 201)},
    **{"fork": (57, -1), "vfork": (58, -1), "execve": (59, 221), "execveat": (322, 281)},
    **{"kill": (62, 129), "ptrace": (101, 117), "process_vm_readv": (310, 270)},
    **{"process_vm_writev": (311, 271), "memfd_create": (319, 279)},
    **{"io_uring_setup": (425, 425), "unshare": (272, 97), "setns": (308, 268)},
    **{"mount": (165, 40), "creat": (85, -1), "truncate": (76, 45), "ftruncate": (77, 46)},
    **{"rename": (82, -1), "renameat": (264, 38), "renameat2": (316, 276)},
    **{"mkdir": (83, -1), "mkdirat": (258, 34), "rmdir": (84, -1), "unlink": (87, -1)},
    **{"unlinkat": (263, 35), "link": (86, -1), "linkat": (265, 37), "symlink": (88, -1)},
    **{"symlinkat": (266, 36), "mknod": (133, -1), "mknodat": (259, 33)},
}
# allowed by what they are given
CHOSEN: _Calls = {
    **{"open": (2, -1), "openat": (257, 56), "clone": (56, 220), "clone3": (435, 435)},
    **{"prlimit64": (302, 261), "socket": (41, 198), "socketpair": (53, 199), "ioctl": (16, 29)},
    **{"fcntl": (72, 25), "madvise": (28, 233), "futex": (202, 98)},
}
# Of a call with many uses those are listed that Python and the C library need; among the others are
# signals to any process (F_SETOWN), faulty memory for all (MADV_HWPOISON), others' priority (PI).
_NOT_BLOCKING, _CLOSE_ON_EXEC = 0x5421, 0x5451
_SET_FLAGS, _SIGNALS = 4, 0x2000  # F_SETFL, O_ASYNC
_FCNTL = (0, 1, 2, 3, _SET_FLAGS, 1030)  # copies of an end, and its flags
_MADVISE = (0, 1, 2, 3, 4, 8, 14, 15, 102, 103)  # reading ahead, giving back, huge pages, guards
_FUTEX = (0, 1, 3, 4, 5, 9, 10)  # waiting, waking and moving what waits
_FUTEX_COMMAND = 0x7F
_THREAD = 0x00010000
_NOT_THREAD = 0xFFFFFFFF & ~0x007D0F00  # what the C libraries never say of a thread
_UNIX, _STREAM, _SOCKET_KIND = 1, 1, 0xF


def missing() -> str:
    """What this machine lacks of the walls, "" where nothing is."""
    if not sys.platform.startswith("linux") or os.uname().machine not in MACHINES:
        return f"the sandbox does not know {sys.platform} on {os.uname().machine}"
    wanted = ctypes.c_uint32(_KILL)
    if _libc.prctl(21, 0, 0, 0, 0) < 0 or _seccomp_knows(wanted) != 0:
        return "no seccomp filters"
    return "" if _landlock_version() >= 1 else "no Landlock"


def _seccomp_knows(action: ctypes.c_uint32) -> int:
    number = (317, 277)[MACHINES[os.uname().machine][1]]
    return int(_libc.syscall(number, 2, 0, ctypes.byref(action)))


def _landlock_version() -> int:
    return int(_libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1))


def limit(seconds: int, megabytes: int) -> None:
    """Bounds CPU seconds and memory of this process and of each that it starts; files stay empty.

    The soft limit of CPU time can be ignored by a signal handler, the hard one a second later not.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    size = megabytes << 20
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(kind, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def limit_processes() -> None:
    """Bounds the processes and threads of this user, which seccomp does better: where it is missing
    this stops a fork bomb, but of root, whose processes the kernel does not count.
    """
    resource.setrlimit(resource.RLIMIT_NPROC, (512, 512))


def die_with_parent() -> None:
    """Ends this process when the one that started it ends."""
    if sys.platform.startswith("linux"):
        _libc.prctl(_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def close_files() -> None:
    """Only Python's own library can be read from here on, and nothing be written.

    So neither a key in a file nor `/proc/PID/environ` can be read. A process outside of this
    Landlock domain cannot be looked into either, even by root: the tests' process and the code's
    each make their own. Raises OSError.
    """
    _must(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    _must(_libc.prctl(_DUMPABLE, 0, 0, 0, 0))
    rights = _RIGHTS.get(_landlock_version(), 16)
    handled = ctypes.c_uint64((1 << rights) - 1)
    rules = _must(_libc.syscall(_LANDLOCK_CREATE, ctypes.byref(handled), ctypes.c_size_t(8), 0))
    for path in _readable():
        try:
            place, allowed = os.open(path, os.O_PATH | os.O_DIRECTORY), _READ_FILE | _READ_DIR
        except NotADirectoryError:
            place, allowed = os.open(path, os.O_PATH), _READ_FILE
        _must(_libc.syscall(_LANDLOCK_ADD, rules, 1, struct.pack("=Qi", allowed, place), 0))
        os.close(place)
    _must(_libc.syscall(_LANDLOCK_RESTRICT, rules, 0))
    os.close(rules)


def _readable() -> list[str]:
    """Python's library, the folders of the shared ones that are loaded, and what both open."""
    with open("/proc/self/maps") as maps:  # noqa: PTH123
        mapped = [line.split()[-1] for line in maps]
    shared = {path.rpartition("/")[0] for path in mapped if path[0] == "/" and ".so" in path}
    library = {path for path in sys.path if path.startswith(sys.base_prefix)}
    few = {"/dev/null", "/dev/urandom", "/etc/ld.so.cache", "/usr/share/zoneinfo", "/etc/localtime"}
    return sorted(path for path in shared | library | few if os.access(path, os.R_OK))


def close_calls() -> None:
    """Only system calls that compute, read and answer are left; others end the process or fail.

    Raises OSError.
    """
    program = b"".join(_program())
    kept = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(kept))
    _must(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    _must(_libc.prctl(_SECCOMP, 2, head, 0, 0))


def _must(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _program() -> Iterable[bytes]:
    """The filter, in the instructions of the classic Berkeley packet filter."""
    architecture, column = MACHINES[os.uname().machine]

    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value)

    def when(number: int, *then: bytes) -> Iterable[bytes]:
        if number >= 0:
            yield step(_EQUAL, number, 0, len(then))
            yield from then

    def argument(place: int, high: bool = False) -> bytes:
        return step(_LOAD, 16 + 8 * place + 4 * high)

    def chosen(name: str, *then: bytes) -> Iterable[bytes]:
        yield from when(CHOSEN[name][column], *then)

    def among(values: Sequence[int], no: bytes) -> tuple[bytes, ...]:
        return *(step(_EQUAL, v, len(values) - at) for at, v in enumerate(values)), no

    def equal(value: int, no: bytes) -> tuple[bytes, ...]:
        return among((value,), no)

    allow, kill, refuse = (step(_RETURN, v) for v in (_ALLOW, _KILL, _ERRNO | _EPERM))
    errors = (_ENOTTY, _ENOSYS, _EINVAL)
    no_terminal, unknown, invalid = (step(_RETURN, _ERRNO | v) for v in errors)
    yield from (step(_LOAD, 4), *equal(architecture, kill), step(_LOAD, 0))
    for numbers in ALLOWED.values():
        yield from when(numbers[column], allow)
    for numbers in FORBIDDEN.values():
        yield from when(numbers[column], kill)
    reading = (step(_ANY_BIT, _WRITING, 0, 1), kill, allow)
    yield from chosen("open", argument(1), *reading)
    yield from chosen("openat", argument(2), *reading)
    thread = (step(_ANY_BIT, _NOT_THREAD, 0, 1), kill, step(_ANY_BIT, _THREAD, 0, 1), allow, kill)
    yield from chosen("clone", argument(0), *thread)
    yield from chosen("clone3", unknown)  # its flags cannot be seen; the C library then uses clone
    asks_only = (argument(2), *equal(0, refuse), argument(2, True), *equal(0, refuse))
    yield from chosen("prlimit64", argument(0), *equal(0, refuse), *asks_only, allow)
    # the C library itself looks for a name service on a local socket: that fails, others are an end
    yield from chosen("socket", argument(0), *equal(_UNIX, kill), refuse)
    kind = (argument(1), step(_AND, _SOCKET_KIND), *equal(_STREAM, kill))
    yield from chosen("socketpair", argument(0), *equal(_UNIX, kill), *kind, allow)
    settings = among((_NOT_BLOCKING, _CLOSE_ON_EXEC), no_terminal)
    yield from chosen("ioctl", argument(1), *settings, allow)
    flags = (argument(2), step(_ANY_BIT, _SIGNALS, 0, 1), refuse, allow)
    said = (*among(_FCNTL, refuse), step(_EQUAL, _SET_FLAGS, 1, 0), allow, *flags)
    yield from chosen("fcntl", argument(1), *said)
    yield from chosen("madvise", argument(2), *among(_MADVISE, invalid), allow)
    command = step(_AND, _FUTEX_COMMAND)
    yield from chosen("futex", argument(1), command, *among(_FUTEX, unknown), allow)
    yield refuse
