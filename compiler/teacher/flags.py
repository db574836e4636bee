"""A TeacherSpec and this machine go in; the command that starts its vLLM comes out, and the name
under which that vLLM serves.

A file of its own because all that we know of vLLM's command line stands here. Of two equal flags
vLLM takes the last: ours come first, then the user's, then those that nobody may change.
"""

import asyncio
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from compiler.codes import R407
from compiler.curriculum import TeacherSpec
from compiler.teacher import Failure

GIB = 2**30
HOST = "127.0.0.1"
INSTALL = (
    "install it with `pip install 'trivium[vllm]'`, or name the Python that has it in the variable "
    "`TRIVIUM_VLLM_PYTHON`"
)
_SIGHT = Path(__file__).with_name("sight.py")
_CONFIG, _TOKENIZER = "config.json", "tokenizer_config.json"
_MODEL_FILES = frozenset((".json", ".jinja", ".safetensors", ".bin", ".model", ".txt", ".gguf"))
_WEIGHTS = frozenset((".safetensors", ".bin", ".gguf"))
_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
_FOR_WEIGHTS = 0.8
# Flags that say how fast and where a model runs, not what it says. Any other one is part of the
# name, so that no reply in the journal is taken for one that a flag would have made otherwise.
_PLACING = frozenset(
    """
    --tensor-parallel-size -tp --pipeline-parallel-size -pp --data-parallel-size -dp
    --gpu-memory-utilization --kv-cache-memory-bytes --cpu-offload-gb --swap-space --block-size
    --num-gpu-blocks-override --api-server-count --distributed-executor-backend
    --max-model-len --max-num-seqs --max-num-batched-tokens --enforce-eager --load-format
    --enable-prefix-caching --no-enable-prefix-caching --download-dir --disable-log-stats
    """.split()
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known before a model is loaded: whether vLLM is built for CPUs; the longest text in
    tokens, the attention heads and the bytes of weights, each 0 where it is not known.
    """

    cpu: bool = False
    longest: int = 0
    heads: int = 0
    weights: int = 0


def placed(spec: TeacherSpec, folder: Path) -> TeacherSpec:
    """The same teacher, its model's folder found from anywhere: it counts from the current one,
    then from `folder`.
    """
    model = Path(spec.model).expanduser()
    place = next((path for path in (model, folder / model) if path.exists()), None)
    return replace(spec, model=str(place.resolve())) if place else spec


async def ready(model: str) -> tuple[str, Seen] | Failure:
    """The Python that has vLLM, and what it knows of the model; a Failure where vLLM could not be
    started.
    """
    if model.startswith((".", "/", "~")) and not Path(model).exists():
        return Failure(R407, f"there is no folder `{model}`")
    python = find_python()
    if not python:
        return Failure(R407, f"vLLM is not installed: {INSTALL}")
    seen = await look(python, model)
    return seen if isinstance(seen, Failure) else (python, seen)


def find_python() -> str:
    """The Python that has vLLM: `TRIVIUM_VLLM_PYTHON`, else ours; "" where there is none."""
    if named := os.environ.get("TRIVIUM_VLLM_PYTHON"):
        return named
    return sys.executable if importlib.util.find_spec("vllm") else ""


def served_name(model: str, args: Sequence[str]) -> str:
    """The model's name for the journal and for every sample.

    A name on the hub stays what it is. A folder's, or one with flags that change what is said, ends
    in 8 hex digits of a hash of all of that, so that another model in the same folder is not taken
    for this one. Raises OSError.
    """
    digest = hashlib.sha256()
    files = _files(Path(model))
    # The weights are read whole: two checkpoints of one training differ in nothing else. vLLM then
    # finds them in memory.
    with ThreadPoolExecutor(8) as pool:
        for path, content in zip(files, pool.map(_content, files), strict=True):
            digest.update(f"{path.name}\0{content}\0".encode())
    speaking = _speaking(args)
    digest.update("\0".join(speaking).encode())
    name = Path(model).resolve().name if files else model
    return f"{name}@{digest.hexdigest()[:8]}" if files or speaking else name


def _files(place: Path) -> list[Path]:
    """The files that make a model, sorted; none for a name on the hub."""
    if place.is_file():
        return [place]
    if not place.is_dir():
        return []
    return sorted(p for p in place.iterdir() if p.suffix in _MODEL_FILES and p.is_file())


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _speaking(args: Sequence[str]) -> list[str]:
    """The flags, with their values, that may change what a model says."""
    told: list[str] = []
    counts = True
    for arg in args:
        if arg.startswith("-"):
            counts = arg.partition("=")[0].replace("_", "-") not in _PLACING
        if counts:
            told.append(arg)
    return told


async def look(python: str, model: str) -> Seen | Failure:
    """Asks the Python that has vLLM, in a second or less; a Failure where it has none."""
    local = Path(model).exists()
    words = [python, str(_SIGHT), *([] if local else [model, _CONFIG, _TOKENIZER])]
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=surroundings(Seen()),
        )
    except OSError as wrong:
        return Failure(R407, f"`{python}` cannot be run: {wrong.strerror}")
    out, _ = await process.communicate()
    said: Mapping[str, object] = {}
    with suppress(ValueError, IndexError):
        said = _mapping(json.loads(out.splitlines()[-1]))
    version = str(said.get("version", ""))
    if not version:
        return Failure(R407, f"`{python}` has no vLLM: {INSTALL}")
    files = _mapping(said.get("files"))
    folder = Path(model) if local else Path(str(files.get(_CONFIG, ""))).parent
    config = _read(folder / _CONFIG)
    config |= _mapping(config.get("text_config"))
    longest = [_number(config.get(key)) for key in _LENGTHS]
    longest.append(_number(_read(folder / _TOKENIZER).get("model_max_length")))
    weights = [p.stat().st_size for p in _files(folder) if p.suffix in _WEIGHTS]
    return Seen(
        "cpu" in version,
        min((length for length in longest if length), default=0),
        _number(config.get("num_attention_heads")),
        sum(weights) if local or files.get(_CONFIG) else 0,
    )


def _read(path: Path) -> dict[str, object]:
    """A JSON object from a file; empty where there is none."""
    try:
        return _mapping(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return {}


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) and 0 < value < 2**40 else 0


def command(python: str, spec: TeacherSpec, name: str, seen: Seen, port: int) -> list[str]:
    """The words that start vLLM on loopback."""
    ours = ["--enable-prefix-caching", "--enable-prompt-tokens-details"]
    ours.append("--disable-uvicorn-access-log")
    if seen.longest > spec.context:
        ours += ["--max-model-len", str(spec.context)]
    if seen.cpu and not _has_bf16():
        ours += ["--dtype", "float32"]
    dealt = any("parallel" in arg or arg[:3] in ("-tp", "-pp", "-dp") for arg in spec.args)
    if not seen.cpu and not dealt and (many := gpus_needed(seen, gpus())) > 1:
        ours += ["--tensor-parallel-size", str(many)]
    fixed = ["--host", HOST, "--port", str(port), "--served-model-name", name]
    module = "vllm.entrypoints.openai.api_server"
    return [python, "-m", module, "--model", spec.model, *ours, *spec.args, *fixed]


def surroundings(seen: Seen) -> dict[str, str]:
    """The environment of a vLLM: ours, without a key that our own requests would need then.

    Python must not look for modules in the current folder: it may be a taxonomy, which strangers
    write.
    """
    made = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
    made.pop("VLLM_API_KEY", None)
    if seen.cpu:
        made.setdefault("VLLM_CPU_KVCACHE_SPACE", str(max(1, _memory() // 4 // GIB)))
    return made


def gpus_needed(seen: Seen, memory: Sequence[int]) -> int:
    """The least number of GPUs, of `memory` bytes each, that hold the weights and leave a fifth for
    what is computed; 1 where that is not known, or all together are too small.

    Attention heads are dealt out evenly, so the number divides theirs.
    """
    for many in range(1, len(memory) + 1):
        fits = seen.weights <= many * _FOR_WEIGHTS * min(memory)
        if fits and seen.heads % many == 0:
            return many
    return 1


def gpus() -> list[int]:
    """The bytes of memory of each NVIDIA GPU that this process may use; none where that cannot be
    told.
    """
    asked = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True)
        lines = [line.split(", ") for line in done.stdout.splitlines()]
        found = {(index, uuid): int(mib) * 2**20 for index, uuid, mib in lines}
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return list(found.values())
    return [memory for ids, memory in found.items() if set(ids) & set(visible.split(","))]


def _has_bf16() -> bool:
    """Whether this CPU computes in bfloat16 itself."""
    try:
        words = set(Path("/proc/cpuinfo").read_text("utf-8").split())
    except OSError:
        return True
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


def _memory() -> int:
    """The bytes of memory that are free; 0 where that cannot be told."""
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        return 0
