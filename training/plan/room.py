"""Nothing, or the name of another machine goes in; what there is to train with comes out.

A file of its own because it asks the machine and not PyTorch, which takes seconds to import: the
driver's own program for a GPU, the kernel for memory.
"""

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import machine

GIGA = 1_000_000_000
DEVICES = ("cpu", "cuda", "mps")
THREAD_FLOPS = 30e9
"""Floating point operations a second of one CPU thread, in float32: 34 to 67 thousand million were
measured on students of 0.5 to 5 million parameters (Zen 4); older machines have less.
"""
PEAK_SHARE = 0.35
"""Share of a GPU's peak that training is taken to reach; not measured here."""
PEAKS = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "A10": 125e12,
    "L4": 121e12,
    "V100": 125e12,
    "T4": 65e12,
}
"""Dense 16-bit matrix operations a second, by the makers' data sheets; the first name that a GPU's
name holds counts.
"""


@dataclass(frozen=True, slots=True)
class Room:
    """A machine: `memory` are the free bytes where the student lies, 0 where that is not known;
    `flops` the operations a second that training is taken to reach, 0 likewise, and `why` in words.
    """

    device: str
    memory: int
    bf16: bool
    threads: int
    flops: float
    why: str
    here: bool = True

    def computes(self, precision: str) -> "Room":
        """The same machine with a recipe's `precision`."""
        return self if precision == "auto" else replace(self, bf16=precision == "bf16")


def here(threads: int) -> Room:
    """This machine; `threads` of 0 are all of its cores."""
    if gpu := _gpu():
        name, free, bf16 = gpu
        return Room("cuda", free, bf16, threads, *_peak(name))
    threads = threads or _cores()
    if sys.platform == "darwin" and machine() == "arm64":
        return Room("mps", _free(), False, threads, 0.0, "")
    return Room("cpu", _free(), False, threads, *_cpu(threads))


def named(text: str, threads: int) -> Room:
    """The machine of `cuda:24` or `cpu:16`: a device and its memory in GB. Raises ValueError."""
    device, _, size = text.partition(":")
    gigabytes = float(size)
    if device not in DEVICES or not 0 < gigabytes < 1e6:
        raise ValueError(text)
    memory = round(gigabytes * GIGA)
    if device == "cpu":
        threads = threads or 1  # a plan for another machine is the same on every one
        return Room(device, memory, False, threads, *_cpu(threads), here=False)
    return Room(device, memory, device == "cuda", threads, 0.0, "", here=False)


def _cpu(threads: int) -> tuple[float, str]:
    said = f"{THREAD_FLOPS / GIGA:.0f} GFLOP/s a thread, assumed"
    return THREAD_FLOPS * threads, f"{threads} x {said}" if threads > 1 else said


def _peak(name: str) -> tuple[float, str]:
    """What a GPU of that name is taken to reach."""
    known = next((peak for part, peak in PEAKS.items() if part in name), 0.0)
    said = f"{PEAK_SHARE:.0%} of the {known / 1e12:.0f} TFLOP/s of {name}, assumed"
    return PEAK_SHARE * known, said if known else ""


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gpu() -> tuple[str, int, bool] | None:
    """Name, free bytes and whether it computes in bfloat16 (from compute capability 8.0 on), of the
    GPU that training would take; None where there is none, or PyTorch was built without.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    if visible in ("", "-1") or _torch().endswith("+cpu"):
        return None
    asked = "--query-gpu=name,memory.free,compute_cap"
    command = ["nvidia-smi", asked, "--format=csv,noheader,nounits", "-i", visible]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
        name, free, capability = (part.strip() for part in done.stdout.splitlines()[0].split(","))
        return name, int(free) * 1024**2, float(capability) >= 8.0
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return None


def _torch() -> str:
    try:
        return version("torch")
    except PackageNotFoundError:
        return ""


def _free() -> int:
    """Free bytes of main memory, within what a container may take; 0 where nobody says."""
    found = []
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(1024 * int(line.split()[1]))
    with suppress(OSError, ValueError, IndexError):
        group = Path("/sys/fs/cgroup")
        taken = (group / "memory.stat").read_text().split()[1]  # `anon`: files can be let go
        found.append(int((group / "memory.max").read_text()) - int(taken))
    if not found:
        with suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return max(0, min(found, default=0))
