"""Settings go in; a machine with quiet libraries comes out, and what it can compute with.

A file of its own because the variables it sets only count before the heavy libraries are imported;
it imports none of them until it is asked for the hardware.
"""

import errno
import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RUNS = "runs"
"""The folder, in that of a stage, of what TensorBoard reads."""
LOST = 75
"""The exit status of a process that lost another one of its run."""
EXTRA = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "tokenizers")


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where tensors live ("cpu", "cuda" or "mps"), whether bfloat16 pays there, which of how many
    processes this is, and whether the weights are shared out among them (FSDP).
    """

    device: str
    bf16: bool
    process: int = 0
    processes: int = 1
    sharded: bool = False

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.process == 0

    def checkpoints(self, wish: str) -> bool:
        """Whether activations are computed twice, to save memory."""
        return self.device != "cpu" if wish == "auto" else wish == "on"


def is_here(model: str) -> bool:
    """Whether a model is a folder, written as a path, or whole in the hub's cache on this machine:
    a plan fetches small files, and a download may have been cut short.
    """
    if model.startswith((".", "/", "~")) or Path(model).is_dir():
        return True
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    snapshots = cache / f"models--{model.replace('/', '--')}" / "snapshots"
    return any(_is_whole(one) for one in snapshots.glob("*"))


def _is_whole(snapshot: Path) -> bool:
    """Whether all weights of a model, or of adapters, are in a folder."""
    for index in snapshot.glob("*.index.json"):
        try:
            parts = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError):
            return False
        return all((snapshot / part).exists() for part in parts)
    return any(True for kind in ("*.safetensors", "*.bin") for _ in snapshot.glob(kind))


def prepare(model: str = "") -> None:
    """Sets what libraries read when imported; the hub is reached only for a `model` not here."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    # One process drives one GPU; a launcher shares them out itself.
    if not is_launched():
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    if is_here(model):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in ("trl", "transformers", "peft", "accelerate", "datasets", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for category in (FutureWarning, DeprecationWarning, UserWarning):
        warnings.simplefilter("ignore", category)


def is_launched() -> bool:
    """Whether a launcher of PyTorch started this process, perhaps among others."""
    return "LOCAL_RANK" in os.environ


def share() -> tuple[int, int]:
    """Which process this is, and of how many."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def settle(threads: int, precision: str = "auto") -> Hardware:
    """Silences the libraries, sets the CPU threads (0: as they are), tells the hardware.

    `precision` of `bf16` or `fp32` is taken at its word.
    """
    import datasets
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    if threads:
        torch.set_num_threads(threads)
    device, bf16 = "cpu", False
    if _said("ACCELERATE_USE_CPU"):
        pass
    elif torch.cuda.is_available():
        device, bf16 = "cuda", torch.cuda.is_bf16_supported()
    elif torch.backends.mps.is_available():
        device = "mps"
    if precision != "auto":
        bf16 = precision == "bf16"
    process, processes = share()
    sharded = processes > 1 and _said("ACCELERATE_USE_FSDP")
    return Hardware(device, bf16, process, processes, sharded)


def track(trackers: Sequence[str], folder: Path) -> None:
    """Tells trackers where their files go, and a name for the project where the user has none."""
    if trackers:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder)
        for name in ("WANDB_PROJECT", "MLFLOW_EXPERIMENT_NAME"):
            os.environ.setdefault(name, "trivium")


def _said(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes")


def write_text(path: Path, text: str) -> None:
    """Writes a file so that a reader, or a crash, sees the old text or the new, never a part."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether no other process is in this block for `folder`; the system opens it again for others
    however this one ends.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as wrong:  # a network's file system may know no locks
        yield wrong.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    else:
        yield True
    finally:
        os.close(held)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Gives a folder to fill; it becomes `path` when the block ends without an exception, else
    nothing of it is left.
    """
    import shutil

    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    drop(path)
    part.rename(path)


def drop(path: Path) -> None:
    """Deletes a file, or a folder, which a crash leaves whole or takes away whole."""
    import shutil

    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    gone = path.with_name(f".{path.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    path.rename(gone)
    shutil.rmtree(gone)


def link_folder(path: Path, to: Path) -> None:
    """Puts all of a folder into another one, and no second copy of its weights on the disk."""
    import shutil

    def put(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:  # not every file system can
            shutil.copy2(source, target)

    def either(source: str, target: str) -> None:
        (put if source.endswith(".safetensors") else shutil.copy2)(source, target)

    shutil.copytree(path, to, copy_function=either, dirs_exist_ok=True)


def no_room(wrong: BaseException) -> str:
    """Why a write failed for want of room, in words; "" where that is not what happened.

    Not every library says it with an OSError: the words of torch, safetensors and tokenizers are
    known here too.
    """
    seen: BaseException | None = wrong
    while seen is not None:
        number = seen.errno if isinstance(seen, OSError) else None
        said = str(seen)
        for one, (why, words) in _NO_ROOM.items():
            if number == one or any(part in said for part in words):
                return why
        seen = seen.__cause__ or seen.__context__
    return ""


_NO_ROOM = {
    errno.EDQUOT: ("the quota is used up", ("Disk quota exceeded",)),
    errno.EFBIG: ("a file would be larger than is allowed", ("File too large",)),
    errno.ENOSPC: (
        "no space is left",
        ("No space left on device", "iostream error", "unexpected pos", "file write failed"),
    ),
}
