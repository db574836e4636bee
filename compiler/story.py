"""A build folder and an id go in; the story of that sample comes out: who, from what, made by whom,
judged how.

A file of its own because it reads what `emit` wrote, long after, with nothing else at hand but the
journal.
"""

from collections.abc import Iterator

from compiler.builds import Build, Json
from compiler.journal import Journal
from compiler.teacher import Reply


def find(build: Build, id: str) -> tuple[Json, tuple[str, ...]] | None:
    """The one sample whose id starts with `id`, and the files that hold it. Raises ValueError for
    several, DamagedError where a file of the build cannot be read.
    """
    found: dict[str, Json] = {}
    files: dict[str, list[str]] = {}
    for name in ("samples", "heldout", "validation", "phase1", "phase2"):
        for sample in build.lines(name):
            if sample["id"].startswith(id):
                found.setdefault(sample["id"], sample)
                replay = " as replay" if sample.get("replay") else ""
                files.setdefault(sample["id"], []).append(f"{name}{replay}")
    if len(found) > 1:
        raise ValueError(f"`{id}` begins {len(found)} ids: {', '.join(sorted(found)[:5])} ...")
    return next(((sample, tuple(files[key])) for key, sample in found.items()), None)


def tell(sample: Json, files: tuple[str, ...], journal: Journal) -> str:
    """The story as plain text."""
    origin = sample["origin"]
    lines = [f"sample {sample['id']} in {', '.join(files)}", ""]
    for message in sample["messages"]:
        lines += [f"{message['role']}:", *(f"  {line}" for line in message["content"].splitlines())]
    of_data = origin["kind"] == "source"
    lines += [
        "",
        f"leaf         {sample['leaf']} ({sample['branch']})",
        f"file         {origin['file']}"
        + (f" (blob {origin['blob'][:12]})" if origin["blob"] else ""),
        *([] if of_data else [f"contributor  {origin['contributor']}"]),
        f"licences     {', '.join(origin['licences']) or 'none named'}",
    ]
    if of_data:
        name, _, line = origin["seeds"][0].removeprefix("sources/").rpartition("#")
        return "\n".join(
            [*lines, f"made by      others: it is of the data set {name}, line {line}"]
        )
    lines.append(f"seeds        {', '.join(origin['seeds'])}")
    if origin["document"]:
        span = f"characters {origin['start']} to {origin['end']}"
        if origin.get("lines"):
            span = "lines {} to {}".format(*origin["lines"])
        lines.append(
            f"document     {origin['document']}, {span} (blob {origin['document_blob'][:12]})"
        )
    if sample.get("cited"):
        lines.append("cited        characters {} to {} of it".format(*sample["cited"]))
    if origin["kind"] == "seed":
        return "\n".join([*lines, "made by      a person: it is a seed example"])
    lines += [
        f"pipeline     {origin['pipeline']} ({origin['prompts']}), unit {origin['unit']}",
        f"teacher      {origin['teacher']}",
        f"judge        {origin['judge']}",
    ]
    if origin.get("parent"):
        lines.append(
            f"parent       {origin['parent']}, {origin['generation']} generations from people"
        )
    lines += [f"drawn        {drawn.replace('=', ': ', 1)}" for drawn in origin.get("drawn", ())]
    lines += [f"score        {name}: {value}" for name, value in sample["scores"].items()]
    replies = journal.get_many(origin["replies"])
    for key in origin["replies"]:
        reply = replies.get(key)
        lines += ["", f"reply {key}" + ("" if reply else " (not in this journal)")]
        if isinstance(reply, Reply):
            lines += [f"  {line}" for line in reply.text.splitlines()]
            lines += _cost(reply)
    return "\n".join(lines)


def _cost(reply: Reply) -> Iterator[str]:
    """What a reply took, as far as its teacher told."""
    if reply.prompt_tokens or reply.completion_tokens:
        cached = f", {reply.cached:,} of them cached" if reply.cached else ""
        yield (
            f"tokens       {reply.prompt_tokens:,} of its prompt{cached}, "
            f"{reply.completion_tokens:,} of the reply"
        )
    if reply.seconds:
        yield f"took         {reply.seconds:.2f} s"
    if reply.finish != "stop":
        yield f"ended by     {reply.finish}"
    if reply.odds:
        likely = sorted(reply.odds.items(), key=lambda one: (-one[1], one[0]))
        yield "odds         " + ", ".join(f"{token!r} {share:.3f}" for token, share in likely)
