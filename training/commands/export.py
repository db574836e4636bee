"""`trivium export`: a trained student goes in, a model for other programs comes out."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from compiler.cli.base import BUILD
from compiler.codes import E702, E710, F608, F611
from compiler.diagnostics import Report
from training import card, data, export, machine, run
from training import recipe as recipes
from training.commands.base import STUDENT, Student, console, extra, fail, finish
from training.export import gate as gates
from training.export import gguf, quantize
from training.export.merged import DTYPES, Source, dtype_of
from training.where import stage_of

AUTO, ROW = "auto", "row"
INSTALL = (
    "get llama.cpp, https://github.com/ggml-org/llama.cpp, with what its converter requires, and "
    "name its folder with `--llama-cpp DIR`"
)

Stage = Annotated[
    str,
    typer.Option("--stage", metavar="NAME", help="Which stage: base, phase1, ...; else the last."),
]


def one_of(*known: str) -> Callable[[str], str]:
    """A check of an option's value. What it gives raises typer.BadParameter."""

    def check(value: str) -> str:
        if value not in known:
            raise typer.BadParameter(f"`{value}` is not one of {', '.join(known)}")
        return value

    return check


def write_export(
    to: Annotated[
        str,
        typer.Option(
            metavar="|".join(export.FORMS),
            callback=one_of(*export.FORMS),
            help="One model without adapters; its layers in 8 or 4 bits (in 2 to see the gate "
            "close); or llama.cpp's file.",
        ),
    ],
    student: Student = STUDENT,
    stage: Stage = "",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The folder to write; else `STUDENT-FORM`.", show_default=False
        ),
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            metavar="|".join((AUTO, *DTYPES)),
            callback=one_of(AUTO, *DTYPES),
            help="What is not quantized; `auto` is what the base has.",
        ),
    ] = AUTO,
    group_size: Annotated[
        str,
        typer.Option(
            metavar="|".join((AUTO, ROW, *map(str, quantize.GROUPS))),
            callback=one_of(AUTO, ROW, *map(str, quantize.GROUPS)),
            help="Weights that share a scale; `auto` is `row` for int8, else the most that fit.",
        ),
    ] = AUTO,
    outtype: Annotated[
        str,
        typer.Option(
            metavar="|".join(gguf.OUTTYPES),
            callback=one_of(*gguf.OUTTYPES),
            help="The kind of numbers in a GGUF file.",
        ),
    ] = "f16",
    llama_cpp: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where llama.cpp's converter is; else $LLAMA_CPP_DIR, or the PATH.",
            show_default=False,
        ),
    ] = None,
    build_folder: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help=f"The student's build, for the gate and the card; else {BUILD}, where it fits.",
            show_default=False,
        ),
    ] = None,
    gate: Annotated[
        bool | None,
        typer.Option(
            "--gate/--no-gate",
            help="Ask both models what was taught; done where a build is at hand.",
            show_default=False,
        ),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="How much a branch may lose before the gate fails."
        ),
    ] = 0.05,
) -> None:
    """Write a student for other programs.

    Where its build is at hand, the model card of the last phase lies beside it. A quantized model
    that loses too much is put into `DIR.failed`, and the exit status is 1.
    """
    if gate and to not in quantize.BITS:
        raise typer.BadParameter(
            f"`--to {to}` is not measured, only 8, 4 and 2 bits are", param_hint="--gate"
        )
    if to in quantize.BITS and dtype == "fp32":
        raise typer.BadParameter("what is quantized has the rest in 16 bits", param_hint="--dtype")
    report = Report()
    converter = gguf.find(llama_cpp) if to == "gguf" else ()
    if to == "gguf" and not converter:
        report.add(E710, f"`{gguf.SCRIPT}` is not installed", hint=INSTALL)
    if to in quantize.BITS and (missing := quantize.missing()):
        hint = "pip install 'trivium[quantize]'"
        report.add(F611, f"the package `{missing}` is not installed", hint=hint)
    if report.errors:
        fail(report)
    found = run.find(student, report)
    if found is None:
        fail(report)
    source = source_of(found, stage)
    out = out or student.parent / f"{student.resolve().name}-{to}"
    build = _build(found, build_folder, gate, to in quantize.BITS, report)
    for folder in (out, export.failed(out)) if to in quantize.BITS else (out,):
        export.may_write(folder, report)
    if report.errors:
        fail(report)
    with extra(report):
        measured = to in quantize.BITS and gate is not False
        asked = gates.questions(build) if build and measured else ()
        machine.prepare(source.base)
        machine.settle(found.threads)
        if dtype == AUTO:
            dtype = dtype_of(source)
            # 16 bits are what a quantized model computes in.
            dtype = "bf16" if dtype == "fp32" and to in quantize.BITS else dtype
        if to == "merged":
            export.to_merged(source, dtype, out, report)
        elif to == "gguf":
            export.to_gguf(source, converter, dtype, outtype, out, report)
        else:
            group = None if group_size == AUTO else 0 if group_size == ROW else int(group_size)
            say = console().print
            try:
                drops = export.to_quantized(
                    source, to, dtype, group, out, asked, max_drop, report, say
                )
            except quantize.UnfitGroupError as wrong:
                raise typer.BadParameter(str(wrong), param_hint="--group-size") from None
            if drops:
                gates.table(drops, to, console())
        if build and not report.errors and source.stage == _last(found):
            text = card.text(found.folder, build_folder or BUILD, report, to)
            if text is not None:
                machine.write_text(out / card.CARD, text)
    finish(report)
    typer.echo(out)


def source_of(found: run.Run, stage: str) -> Source:
    """The stage of a run that is named, else its last. Raises typer.BadParameter."""
    name = stage or _last(found)
    if name not in found.stages:
        raise typer.BadParameter(
            f"no stage `{name}`; there are {', '.join(found.stages)}", param_hint="--stage"
        )
    return Source(name, stage_of(found.where(name)), found.base)


def _last(found: run.Run) -> str:
    """The last phase of a run."""
    return [name for name in found.stages if name != recipes.CONTROL][-1]


def _build(
    found: run.Run, folder: Path | None, gate: bool | None, measured: bool, report: Report
) -> data.Build | None:
    """The student's build; None where nobody named one and none fits. What a gate misses is said
    where the form is `measured` and a gate is not unwanted.
    """
    measured = measured and gate is not False
    wanted = folder is not None or (measured and bool(gate))
    aside = report if wanted else Report()
    build = data.read(folder or BUILD, aside)
    if build and build.fingerprint != found.fingerprint:
        hint = "name its build with `--data`, or leave the gate out with `--no-gate`"
        aside.add(F608, f"`{found.folder}` was trained on another build", hint=hint)
        build = None
    if build and not build.heldout and measured:
        if wanted:
            hint = "hold some seed examples back when building"
            report.add(E702, "the build has no held-out questions", hint=hint)
        else:
            build = None
    if build is None and measured and not wanted:
        console().print("not measured: name the student's build with `--data DIR` to do so")
    return build
