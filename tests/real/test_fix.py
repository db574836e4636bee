"""`fix` on what people really wrote: it breaks no file and changes only what it names."""

import pytest
import yaml

from compiler.diagnostics import Report
from compiler.fix import fix
from compiler.fix.sheet import exact
from compiler.format import read_tree
from compiler.source import SourceFile


@pytest.fixture(scope="module")
def files(contributions):
    """Every file of the verdicts, and whether InstructLab's validator could read it."""
    return [(SourceFile(v["path"], data), v["readable"]) for v, data in contributions]


def errors(file):
    report = Report()
    read_tree(file, report)
    return report.errors, {d.code.id for d in report.diagnostics}


@pytest.mark.slow
def test_every_file_of_the_pull_requests(files):
    changed = clean = read = 0
    for file, is_readable in files:
        done = fix(file)
        after = SourceFile(file.path, done.data)
        changed += done.data != file.data
        if done.data == file.data:
            assert not done.repairs
            continue
        assert fix(after).data == done.data, file.path
        (count, codes), (left, found) = errors(file), errors(after)
        if is_readable:
            assert left <= count, file.path
            assert found <= codes, file.path
            told = {r.code.id for r in done.repairs if r.code}
            before, now = (yaml.load(data, yaml.CSafeLoader) for data in (file.data, done.data))
            if not told:
                assert exact(now) == exact(before), file.path
            if told == {"T101"}:
                assert exact({**before, "version": now["version"]}) == exact(now)
        clean += count > 0 and left == 0
        read += codes == {"S001"} and "S001" not in found
    print(f"{changed} of {len(files)} changed, {clean} became clean, {read} became readable")
    assert len(files) == 575
    assert changed >= 400
    assert clean >= 2
    assert read >= 22


def test_the_public_leaves_stay_what_they_are(taxonomy):
    paths = sorted(taxonomy.rglob("qna.yaml"))
    for path in paths:
        file = SourceFile(path.relative_to(taxonomy).as_posix(), path.read_bytes())
        done = fix(file)
        before, now = (yaml.load(data, yaml.CSafeLoader) for data in (file.data, done.data))
        assert exact({**before, "version": now.get("version")}) == exact(
            {**now, "version": now.get("version")}
        )
        assert before.get("version") in (now.get("version"), None)
        assert errors(SourceFile(file.path, done.data)) == (0, set())
    assert len(paths) == 16
