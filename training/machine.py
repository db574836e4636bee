"""Settings go in; a machine with quiet libraries comes out, and what it can compute with.

A file of its own because the variables it sets only count before the heavy libraries are imported;
it imports none of them until it is asked for the hardware.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

EXTRA = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "tokenizers")


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where tensors live ("cpu", "cuda" or "mps"), whether bfloat16 pays there, and which of how
    many processes this is.
    """

    device: str
    bf16: bool
    process: int = 0
    processes: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.process == 0

    def checkpoints(self, wish: str) -> bool:
        """Whether activations are computed twice, to save memory."""
        return self.device != "cpu" if wish == "auto" else wish == "on"


def is_here(model: str) -> bool:
    """Whether a model is a folder, written as a path, or in the hub's cache on this machine."""
    if model.startswith((".", "/", "~")) or Path(model).is_dir():
        return True
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return (cache / f"models--{model.replace('/', '--')}" / "snapshots").is_dir()


def prepare(model: str = "") -> None:
    """Sets what libraries read when imported; the hub is reached only for a `model` not here."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    # One process drives one GPU; a launcher shares them out itself.
    if "LOCAL_RANK" not in os.environ:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    if is_here(model):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in ("trl", "transformers", "peft", "accelerate", "datasets", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for category in (FutureWarning, DeprecationWarning, UserWarning):
        warnings.simplefilter("ignore", category)


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
    if torch.cuda.is_available():
        device, bf16 = "cuda", torch.cuda.is_bf16_supported()
    elif torch.backends.mps.is_available():
        device = "mps"
    if precision != "auto":
        bf16 = precision == "bf16"
    process, processes = (int(os.environ.get(name, n)) for name, n in _SHARES)
    return Hardware(device, bf16, process, processes)


_SHARES = (("RANK", 0), ("WORLD_SIZE", 1))  # what every launcher of PyTorch sets


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
def whole_folder(path: Path) -> Iterator[Path]:
    """Gives a folder to fill; it becomes `path` when the block ends without an exception."""
    import shutil

    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    shutil.rmtree(path, ignore_errors=True)
    part.rename(path)
