"""A teacher and a request go in; the key under which the journal keeps the answer comes out.

A file of its own because every place that asks, this process, a batch file or another machine, must
come to the same key, and because a change here asks everything anew.
"""

import hashlib
import json

from compiler.teacher import Request, Teacher

_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


def key_of(teacher: Teacher, request: Request) -> str:
    """The journal's key: 32 hex digits of a hash of all that the answer depends on."""
    content: dict[str, object] = {
        "model": teacher.model,
        "messages": [message.as_json() for message in request.messages],
        "sampling": request.sampling.as_json(),
        "index": request.index,
    }
    if request.form != "tags":
        fields = [[field.name, *field.choices] for field in request.writes]
        content["schema"] = [request.form, request.many, fields]
    if teacher.extra:
        content["extra"] = dict(teacher.extra)
    if teacher.by_rule:
        names = [field.name for field in request.writes]
        content |= {"stage": request.stage, "writes": names, "columns": dict(request.columns)}
    return hashlib.sha256(_encode(content).encode()).hexdigest()[:32]
