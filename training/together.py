"""What each process of a run knows goes in; what all of them act on comes out.

A file of its own because a process that saves, stops or asks alone waits for the others for ever:
every such decision passes here. Where there is one process, nothing is sent.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from training.machine import LOST, Hardware

T = TypeVar("T")
PATIENCE = timedelta(hours=1)
"""How long the processes wait for each other: for one that writes a large student, or hashes it."""


def join(hardware: Hardware) -> None:
    """Meets the other processes; every phase does it anew, for accelerate keeps what a phase set.

    Raises ValueError where a launcher started several and no device is there for them.
    """
    if hardware.processes == 1:
        return
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedType

    AcceleratorState._reset_state(reset_partial_state=True)
    state = PartialState(cpu=hardware.device == "cpu", timeout=PATIENCE)
    if not dist.is_initialized():
        raise ValueError(f"{hardware.processes} processes cannot share this machine")
    if hardware.sharded and hardware.device == "cpu":
        # accelerate shards only what it takes for accelerators; PyTorch does so on a CPU as well.
        state._shared_state["distributed_type"] = DistributedType.MULTI_XPU


@contextmanager
def of(hardware: Hardware) -> Iterator[None]:
    """Does the block together with the other processes, where there are any; ends this process with
    the status LOST where another one is gone.
    """
    join(hardware)
    try:
        yield
    except Exception as wrong:
        if not _is_lost(wrong):
            raise
        raise SystemExit(LOST) from wrong
    if dist.is_initialized():
        dist.destroy_process_group()


def any_of(*flags: bool) -> list[bool]:
    """The flags that any process has set."""
    if not dist.is_initialized():
        return list(flags)
    device = "cuda" if "nccl" in dist.get_backend() else "cpu"
    said = torch.tensor([int(flag) for flag in flags], device=device)
    dist.all_reduce(said, op=dist.ReduceOp.MAX)
    return [bool(flag) for flag in said.tolist()]


def wait() -> None:
    """Goes on when all processes have come here."""
    any_of(False)


def told(make: Callable[[], T]) -> T:
    """What `make` gives on the first process; it is not called on the others, which wait for it."""
    if not dist.is_initialized():
        return make()
    said: list[T | None] = [make() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(said, src=0)
    found: T = said[0]  # type: ignore[assignment]
    return found


def _is_lost(wrong: BaseException) -> bool:
    """Whether an exception says that another process is gone."""
    if not dist.is_initialized():
        return False
    return isinstance(wrong, dist.DistError) or any(part in str(wrong) for part in _GONE)


_GONE = ("Connection closed by peer", "Connection reset by peer", "gloo", "NCCL")
