"""A trained stage goes in; a folder that other programs load comes out: merged, quantized, GGUF.

A package because each form is a library's or a program's own; what they share stands here: a folder
appears whole or not at all, says what it was made of, and replaces only what an export made.
"""

import errno
import gc
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from compiler.codes import E710, F612, F614
from compiler.diagnostics import Report, counted
from training import seen
from training.data import Sample
from training.export import gate, gguf, merged, quantize
from training.export.merged import Source
from training.machine import settle, whole_folder, write_text

RECORD = "export.json"
FORMS = ("merged", *quantize.BITS, "gguf")


def record_of(folder: Path) -> dict[str, object]:
    """What an export says of itself; {} for a folder that is none."""
    try:
        found = json.loads((folder / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def may_write(out: Path, report: Report) -> bool:
    """Whether `out` is free, or an export of ours to replace; F612 where it is something else."""
    taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if not taken or record_of(out):
        return True
    hint = "name a new or an empty folder with `--out`"
    report.add(F612, f"`{out}` holds what no export made", hint=hint)
    return False


def failed(out: Path) -> Path:
    """Where a quantized model is put that lost too much."""
    return out.with_name(f"{out.name}.failed")


def to_merged(source: Source, dtype: str, out: Path, report: Report) -> bool:
    """Writes the stage as one model of DTYPES `dtype`."""
    with _new(out, report) as part:
        if not merged.write(source, dtype, part, report):
            raise _StopError
        _record(part, source, to="merged", dtype=dtype)
    return not report.errors


def to_quantized(
    source: Source,
    form: str,
    dtype: str,
    group: int | None,
    out: Path,
    asked: Sequence[Sample],
    most: float,
    report: Report,
    say: Callable[[str], None],
) -> tuple[gate.Drop, ...] | None:
    """Writes the stage in the bits of `form`; what each branch lost by that, None where it failed.

    `dtype` is that of what is not quantized; a `group` of None is chosen by `group_for`. Where
    something is `asked`, the merged model and the quantized one, read back, answer it: E709 where a
    branch lost more than `most`; the folder is then `failed(out)`, and `out` stays what it was.
    """
    from training import student
    from training.ask import ask

    hardware = settle(0)
    tokenizer = student.load_tokenizer(source.where, report)
    model = merged.load(source, dtype if hardware.bf16 else "fp32", report)
    if tokenizer is None or model is None:
        return None
    drops: tuple[gate.Drop, ...] = ()
    with _new(out, report) as part:
        before = []
        if asked:
            say(f"merged: {counted(len(asked), 'question')}")
            before = ask(model.to(hardware.device), tokenizer, asked)
        model = merged.as_dtype(model.to("cpu"), dtype)
        bits = quantize.BITS[form]
        group = quantize.group_for(model, bits) if group is None else group
        quantize.write(model, bits, group, part)
        tokenizer.save_pretrained(part)
        if asked:
            del model
            gc.collect()
            say(f"{form}: {counted(len(asked), 'question')}")
            with quantize.quiet():
                small = student.load_model(str(part), report, bf16=hardware.bf16)
                if small is None:
                    raise _StopError
                after = ask(small.to(hardware.device).eval(), tokenizer, asked)
            drops = gate.compare(asked, before, after)
        lost = {"max_drop": most, "lost": [drop.as_json() for drop in drops]} if asked else {}
        _record(part, source, to=form, dtype=dtype, group=group, **lost)
        shutil.rmtree(failed(out), ignore_errors=True)
        if not gate.judge(drops, most, form, str(failed(out)), report):
            part.rename(failed(out))
            raise _StopError
    return drops


def to_gguf(
    source: Source,
    converter: Sequence[str],
    dtype: str,
    outtype: str,
    out: Path,
    report: Report,
) -> bool:
    """Writes the stage as one file of `outtype` for llama.cpp; E710 where its converter fails."""
    with _new(out, report) as part:
        model = part / "merged"
        model.mkdir()
        if not merged.write(source, dtype, model, report):
            raise _StopError
        wrong = gguf.convert(converter, model, part / f"{source.stage}-{outtype}.gguf", outtype)
        if wrong:
            hint = "look whether this converter knows the kind of model, and renew it if not"
            report.add(E710, wrong, hint=hint)
            raise _StopError
        shutil.rmtree(model)
        _record(part, source, to="gguf", outtype=outtype)
    return not report.errors


class _StopError(Exception):
    """There will be no folder; the report says why."""


@contextmanager
def _new(out: Path, report: Report) -> Iterator[Path]:
    """A folder to fill, which becomes `out`; nothing is left of it where something stops that.

    F614 where the disk is full.
    """
    try:
        with whole_folder(out) as part:
            yield part
    except _StopError:
        pass
    except Exception as wrong:
        if not _is_full(wrong):
            raise
        hint = "make room, or name another disk with `--out`; then run the same command again"
        report.add(F614, f"`{out}` cannot be written: no space is left on its disk", hint=hint)
    finally:
        shutil.rmtree(out.with_name(f".{out.name}.part"), ignore_errors=True)


def _is_full(wrong: Exception) -> bool:
    """Whether a disk or a quota is full. The writer of weights tells that in words alone."""
    number = wrong.errno if isinstance(wrong, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(wrong)


def _record(folder: Path, source: Source, **more: object) -> None:
    said = {"stage": source.stage, "source": source.digest(), **more}
    write_text(folder / RECORD, json.dumps(said, indent=1) + "\n")
    seen.keep(source.where, folder)
