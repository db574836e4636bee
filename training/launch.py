"""A launch file of accelerate goes in; the command, run by as many processes as it says, comes out.

A file of its own because a launch decides where a recipe is trained and nothing else: what such a
file would change of the recipe is refused, at its place in the file.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.codes import F616
from compiler.diagnostics import Report
from compiler.source import SourceFile
from compiler.tree import Path as Place
from compiler.tree import Tree, parse
from training.machine import LOST
from training.recipe import Recipe

ALONE, CPU, SHARDED = "NO", "MULTI_CPU", "FSDP"
LOGS = ".processes"
KINDS = (ALONE, CPU, "MULTI_GPU", SHARDED)
GRACE = 120
"""Seconds that processes have to write a checkpoint after Ctrl-C, or to see that one is gone."""
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch file: how many processes on how many machines, which of them this one is, and
    whether they compute on a CPU, or share the weights out.
    """

    path: Path
    kind: str
    processes: int
    machines: int
    machine: int
    cpu: bool
    port: int | None

    @property
    def here(self) -> int:
        """How many processes run on this machine."""
        return self.processes // self.machines

    @property
    def first(self) -> bool:
        """Whether this machine has the first process, which writes and speaks."""
        return self.machine == 0


def read(path: Path, recipe: Recipe, report: Report) -> Launch | None:
    """The launch of a file; F616 for what cannot run the recipe, or would change it."""
    try:
        file = SourceFile(str(path), path.read_bytes())
    except OSError as wrong:
        hint = "write one with `accelerate config --config_file FILE`"
        report.add(F616, f"`{path}` cannot be read: {wrong.strerror or wrong}", hint=hint)
        return None
    found = Report(texts=report.texts)
    tree = parse(file, found)
    if tree is None or not isinstance(tree.value, dict) or found.errors:
        for one in found.diagnostics:
            report.add(F616, one.message, one.span, one.hint)
        if not found.diagnostics:
            report.add(F616, f"`{path}` is not a launch file", hint="name one of `accelerate`")
        return None
    before = report.errors
    for test in _TESTS:
        test(tree, tree.value, recipe, report)
    if report.errors > before:
        return None
    value = tree.value
    kind = str(value["distributed_type"])
    cpu = kind == CPU or _is_on(value.get("use_cpu"))
    port = value.get("main_process_port")
    count, machines = int(value.get("num_processes", 1)), int(value.get("num_machines") or 1)
    return Launch(path, kind, count, machines, int(value.get("machine_rank") or 0), cpu, port)


def start(launch: Launch, words: Sequence[str], logs: Path, report: Report) -> tuple[int, str]:
    """Runs `trivium` with `words` in the processes of a launch, and waits for them: the status to
    end with, and what is to be said of it that the first process did not say; F616 where they
    cannot be started.

    What the others print lies in `logs`.
    """
    import torch
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    if not launch.cpu and torch.cuda.device_count() < launch.here:
        message = f"`{launch.path}` starts {launch.here} processes here, which need a GPU each; "
        message += f"there are {torch.cuda.device_count()}"
        hint = "write as many `num_processes`, or `distributed_type: MULTI_CPU`"
        report.add(F616, message, hint=hint)
        return 1, ""
    for name in ("torch", "accelerate"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(GRACE))
    os.environ["ACCELERATE_USE_CPU"] = str(launch.cpu).lower()
    given = ["--config_file", str(launch.path), "--module"]
    given += [] if launch.kind == SHARDED else ["--multi_gpu"]  # its launcher, for CPUs too
    if launch.machines == 1 and launch.port is None:
        given += ["--main_process_port", "0"]
    args = launch_command_parser().parse_args([*given, "training.cli", *words])
    args.mixed_precision = "no"  # the recipe's `precision` says it
    args.use_cpu = launch.cpu
    args.log_dir = str(logs)
    silent = range(1 if launch.first else 0, launch.here)
    args.redirects = ",".join(f"{number}:3" for number in silent) or "0"
    try:
        launch_command(args)
    except SignalException:
        return INTERRUPTED, ""
    except ChildFailedError as failed:
        return _verdict(failed.failures, launch, logs)
    except (ValueError, ConnectionError) as wrong:
        said = str(wrong).strip().partition("\n")[0]
        hint = "look at the file, and at `accelerate config`"
        report.add(F616, f"`{launch.path}` cannot be launched: {said}", hint=hint)
        return 1, ""
    return 0, ""


def _verdict(failures: Mapping[int, Any], launch: Launch, logs: Path) -> tuple[int, str]:
    """The status and the words for processes that failed, by their numbers."""
    said = failures.get(0)
    if said is not None and 0 < said.exitcode != LOST:
        return said.exitcode, ""
    left = {n: one for n, one in failures.items() if one.exitcode != LOST} or failures
    number, first = min(left.items(), key=lambda pair: pair[1].timestamp)
    if first.exitcode == INTERRUPTED:
        return INTERRUPTED, ""
    how = f"was killed by signal {-first.exitcode}"
    if first.exitcode >= 0:
        how = f"ended with status {first.exitcode}"
    where = f"; what it said is in `{logs}`" if number or not launch.first else ""
    again = "run the same command again to go on"
    return 1, f"process {number} of {launch.processes} {how}{where}; {again}"


def _kind(tree: Tree, value: Mapping[str, Any], recipe: Recipe, report: Report) -> None:
    """Whether the file starts processes of a kind that trains alike."""
    place = value.get("compute_environment", "LOCAL_MACHINE")
    if place != "LOCAL_MACHINE":
        span = tree.span(("compute_environment",))
        report.add(F616, f"`{place}` is no machine to launch on", span, "write `LOCAL_MACHINE`")
    kind = value.get("distributed_type")
    if kind is None:
        hint = f"add it: one of {', '.join(f'`{one}`' for one in KINDS)}"
        report.add(F616, "the file has no `distributed_type`", tree.span(()), hint)
    elif str(kind) not in KINDS:
        span = tree.span(("distributed_type",))
        hint = "use `FSDP` with `fsdp_version: 2` where one GPU is too small, else `MULTI_GPU`"
        report.add(F616, f"`{kind}` is not a way that a recipe is trained here", span, hint)


def _counts(tree: Tree, value: Mapping[str, Any], recipe: Recipe, report: Report) -> None:
    """Whether the processes can share the steps of every phase."""
    for key in ("num_processes", "num_machines", "machine_rank"):
        least = 0 if key == "machine_rank" else 1
        found = value.get(key, least)
        if isinstance(found, bool) or not isinstance(found, int) or found < least:
            report.add(F616, f"`{key}` is {found!r}", tree.span((key,)), "write a whole number")
            return
    count, machines = value.get("num_processes", 1), value.get("num_machines", 1)
    kind = value.get("distributed_type")
    if "num_processes" not in value and kind != ALONE:
        report.add(F616, "the file has no `num_processes`", tree.span(()), "add how many")
        return
    span = tree.span(("num_processes",)) if "num_processes" in value else tree.span(())
    if count % machines or (kind == ALONE and count > 1):
        message = f"{count} processes cannot be shared out evenly to {machines} machines"
        if kind == ALONE:
            message = f"`distributed_type` is `{ALONE}`, and `num_processes` is {count}"
        report.add(F616, message, span, "write a number that fits")
        return
    if machines > 1:
        for key in ("main_process_ip", "main_process_port"):
            if not value.get(key):
                message = f"{machines} machines find each other by `{key}`, which is not there"
                report.add(F616, message, tree.span(("num_machines",)), f"add `{key}`")
    for phase in recipe.phases:
        step = phase.batch * phase.accumulation
        if step % count:
            message = (
                f"{phase.name}: a step of {phase.batch} x {phase.accumulation} sequences cannot be "
                f"shared by {count} processes"
            )
            fits = [str(one) for one in range(2, step + 1) if step % one == 0][:6]
            one_of = f"use {', '.join(fits)} processes, or " if fits else ""
            most = phase.accumulation + count
            sizes = range(phase.accumulation, most + 1)
            whole = next(one for one in sizes if phase.batch * one % count == 0)
            hint = f"{one_of}write `accumulation: {whole}` in the recipe"
            report.add(F616, message, span, hint)


def _contradictions(tree: Tree, value: Mapping[str, Any], recipe: Recipe, report: Report) -> None:
    """What the recipe says, and the file would say otherwise."""
    precision = str(value.get("mixed_precision") or "no")
    if precision not in ("no", recipe.precision):
        message = f"`mixed_precision` is `{precision}`, and the recipe's `precision` is "
        message += f"`{recipe.precision}`"
        fix = "say it in the recipe: `precision: bf16`" if precision == "bf16" else "remove it"
        report.add(F616, message, tree.span(("mixed_precision",)), fix)
    for path in (
        ("gradient_accumulation_steps",),
        ("deepspeed_config", "gradient_accumulation_steps"),
    ):
        if _at(value, path) is not None:
            message = "`gradient_accumulation_steps` is the recipe's `accumulation`"
            report.add(F616, message, tree.span(path), "remove it")
    for key in _FOREIGN:
        if value.get(key):
            report.add(F616, f"`{key}` is not supported", tree.key_span((key,)), "remove it")
    if _is_on(value.get("downcast_bf16")):
        message = "`downcast_bf16` is for TPUs"
        report.add(F616, message, tree.span(("downcast_bf16",)), "remove it")


def _shares(tree: Tree, value: Mapping[str, Any], recipe: Recipe, report: Report) -> None:
    """What FSDP must be told, and must not be."""
    shares = value.get("fsdp_config") or {}
    if value.get("distributed_type") != SHARDED or not isinstance(shares, dict):
        return
    place: Place = ("fsdp_config",)
    span = tree.span(place) if "fsdp_config" in value else tree.span(())
    if shares.get("fsdp_version") != 2:
        if "fsdp_version" in shares:
            span = tree.span((*place, "fsdp_version"))
        report.add(F616, "only FSDP2 is supported", span, "write `fsdp_version: 2`")
    if _is_on(shares.get("fsdp_activation_checkpointing")):
        span = tree.span((*place, "fsdp_activation_checkpointing"))
        message = "`fsdp_activation_checkpointing` is the recipe's `checkpointing`"
        report.add(F616, message, span, "remove it, and write `checkpointing: on` in the recipe")
    if recipe.lora and recipe.lora.embeddings and shares.get(_LOADING) is not False:
        # accelerate 1.15 ties the weights anew there, and fails on embeddings that PEFT wraps
        message = f"`{_LOADING}` cannot load adapters that train the embeddings too"
        report.add(F616, message, tree.span((*place, _LOADING)), f"write `{_LOADING}: false`")
    if recipe.bits:
        message = f"weights in {recipe.bits} bits cannot be shared out"
        report.add(F616, message, tree.span(("distributed_type",)), "use `MULTI_GPU`")


_LOADING = "fsdp_cpu_ram_efficient_loading"
_TESTS = (_kind, _counts, _contradictions, _shares)
_FOREIGN = (
    "deepspeed_config",
    "dynamo_config",
    "fp8_config",
    "megatron_lm_config",
    "mpirun_config",
    "parallelism_config",
    "tpu_use_cluster",
)


def _at(value: object, path: Sequence[str]) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _is_on(value: object) -> bool:
    """Whether a switch is on: accelerate writes some as words."""
    return str(value).lower() in ("true", "yes", "on", "1")
