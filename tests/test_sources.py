"""Where a leaf's content comes from: address, commit, patterns, attribution and licence."""

import pytest

from compiler.documents import fetch as fetching
from compiler.program import prepare
from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, read, skill

FULL = "0123456789abcdef0123456789abcdef01234567"
BESIDE = SKILL.replace("qna.yaml", "attribution.txt")


def pinned(**changes):
    leaf = knowledge()
    elsewhere = {"repo": "https://example.org/x.git", "commit": FULL, "patterns": ["a.md"]}
    leaf["document"] = {**elsewhere, **changes}
    return leaf


def only(report):
    """The code and message of the only finding; "", "" for none."""
    assert len(report.diagnostics) < 2
    return next(((d.code.id, d.message) for d in report.diagnostics), ("", ""))


ADDRESSES = {
    "https://github.com/ada/birds": "",
    "git@github.com:ada/birds.git": "",
    "ssh://git@example.org/birds": "",
    "https://org@dev.azure.com/org/birds": "",
    "ext::sh -c touch% /tmp/x": "`ext::sh -c touch% /tmp/x` names a program for git to run",
    "file::/srv/birds": "`file::/srv/birds` names a program for git to run",
    "--upload-pack=touch": "`--upload-pack=touch` would be an option of git",
    "-uhttps://example.org": "`-uhttps://example.org` would be an option of git",
    "file:///srv/birds": "`file:///srv/birds` is a place on the disk",
    "/srv/birds": "`/srv/birds` is a place on the disk",
    "../birds": "`../birds` is a place on the disk",
    "~ada/birds": "`~ada/birds` is a place on the disk",
    "C:\\birds": "`C:\\birds` is a place on the disk",
    "https://example.org/my birds": "`https://example.org/my birds` holds white space",
    "https://ada:hunter2@example.org/x": "`https://example.org/x` holds a password",
    "birds": "`birds` is not an address that documents are fetched from",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_not_followed_is_said_early(tmp_path, address):
    expected = ADDRESSES[address]
    _, report = read(tmp_path, {KNOWLEDGE: pinned(repo=address)})
    assert only(report) == (("T139", expected) if expected else ("", ""))


@pytest.mark.parametrize("address", [a for a, why in ADDRESSES.items() if why])
def test_the_compiler_keeps_to_the_same_rule_and_says_it_once(tmp_path, monkeypatch, address):
    monkeypatch.setattr(fetching, "_fetch_all", lambda *_: pytest.fail("git was called"))
    _, report = read(tmp_path, {KNOWLEDGE: pinned(repo=address)})
    before = report.diagnostics
    report = compiled(tmp_path)
    assert [d for d in report.diagnostics if d.code.id == "T139"] == list(before)
    assert not [d for d in report.diagnostics if d.code.id == "T140"]


def compiled(folder):
    from compiler.diagnostics import Report
    from compiler.source import WorkTree

    report = Report()
    prepare(WorkTree(folder), folder / "cache", report)
    return report


def test_a_document_that_is_not_there_is_said_by_check_and_once_by_the_compiler(tmp_path):
    leaf = knowledge()
    leaf["document"]["patterns"] = ["documents/robin.md", "documents/robbin.md"]
    _, report = read(tmp_path, {KNOWLEDGE: leaf})
    (found,) = report.diagnostics
    assert (found.code.id, found.message) == ("T142", "no file matches `documents/robbin.md`")
    assert found.hint == "did you mean `documents/robin.md`?"
    lines = (tmp_path / KNOWLEDGE).read_text().split("\n")
    assert lines[found.span.line - 1].strip() == "- documents/robbin.md"
    again = [d for d in compiled(tmp_path).diagnostics if d.code.id == "T142"]
    assert again == [found]


COMMITS = {
    FULL: "",
    FULL.upper(): "",
    FULL + FULL[:24]: "",
    FULL[:7]: "a short hash",
    FULL[:39]: "a short hash",
    "main": "a branch or a tag",
    "v1.2.3": "a branch or a tag",
    "deadbeef": "a branch or a tag",
    "HEAD": "a branch or a tag",
}


@pytest.mark.parametrize("commit", COMMITS)
def test_a_commit_that_can_move_is_named(tmp_path, commit):
    expected = COMMITS[commit]
    said = f"`{commit}` is {expected}, not the full hash of a commit"
    _, report = read(tmp_path, {KNOWLEDGE: pinned(commit=commit)})
    assert only(report) == (("T125", said) if expected else ("", ""))


PATTERNS = {
    "docs/**/*.md": "",
    "a..b/c.md": "",
    "50% off/price in $.md": "",
    "/docs/a.md": "starts at the root of the machine",
    "C:/a.md": "starts at the root of the machine",
    "\\\\server\\a.md": "starts at the root of the machine",
    "~/a.md": "starts in a home folder",
    "a/../../b.md": "climbs out of the repository",
    "a\\..\\b.md": "climbs out of the repository",
    "..": "climbs out of the repository",
    "${HOME}/a.md": "holds a variable of the machine",
    "$HOME/a.md": "holds a variable of the machine",
    "%APPDATA%/a.md": "holds a variable of the machine",
    "docs\\a.md": "has `\\` between its folders",
    "a\x7fb.md": "holds a control character",
    "  ": "is empty",
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_stays_in_the_repository(tmp_path, pattern):
    expected = PATTERNS[pattern]
    _, report = read(tmp_path, {KNOWLEDGE: pinned(patterns=[pattern])})
    found = [(d.code.id, d.message) for d in report.diagnostics if d.code.id != "T132"]
    assert found == ([("T126", f"the pattern `{pattern}` {expected}")] if expected else [])


def test_a_slash_too_many_is_told_how_to_mend(tmp_path):
    (found,) = read(tmp_path, {KNOWLEDGE: pinned(patterns=["/docs/a.md"])})[1].diagnostics
    assert found.hint == "write `docs/a.md`: patterns start at the repository's top folder"


LICENCES = {
    "CC-BY-SA-4.0": "",
    "cc by-sa 4.0": "",
    "CC BY 4": "",
    "Creative Commons Attribution 4.0 International": "",
    "Creative Commons Attribution-ShareAlike 4.0 International (CC BY-SA 4.0)": "",
    "https://creativecommons.org/licenses/by-sa/4.0/deed.en": "",
    "https://creativecommons.org/publicdomain/zero/1.0/": "",
    "CC0": "",
    "Public domain": "",
    "Apache License, Version 2.0": "",
    "https://www.apache.org/licenses/LICENSE-2.0": "",
    "The MIT License (MIT)": "",
    "MIT OR GPL-3.0-only": "",
    "MIT/Apache-2.0": "",
    "(GPL-2.0-only OR MIT) AND CC0-1.0": "",
    "Apache-2.0 WITH LLVM-exception": "",
    "CC-BY-NC-4.0": "forbids commercial use",
    "Creative Commons Attribution-NonCommercial 4.0": "forbids commercial use",
    "https://creativecommons.org/licenses/by-nc-sa/4.0/": "forbids commercial use",
    "CC BY-ND 4.0": "forbids changed copies",
    "MIT AND CC-BY-NC-4.0": "forbids commercial use",
    "CC-BY-SA-3.0": "is not on the list",
    "GPL-3.0-or-later": "is not on the list",
    "MIT AND GPL-3.0-only": "is not on the list",
    "CC BY-SA": "has no version",
    "All rights reserved": "is no SPDX name",
    "Wikipedia": "is no SPDX name",
}


@pytest.mark.parametrize("licence", LICENCES)
def test_a_licence_is_understood_as_people_write_it(tmp_path, licence):
    text = f"Title of work: x\nLicense of the work: {licence}\n"
    _, report = read(tmp_path, {SKILL: skill(), BESIDE: text})
    code, message = only(report)
    expected = LICENCES[licence]
    assert (code, message.endswith(expected)) == ("T128" if expected else "", True)
    if expected:
        (found,) = report.diagnostics
        assert (found.span.path, found.span.line, found.span.column) == (BESIDE, 2, 22)


@pytest.mark.parametrize("licence", ["-", "unknown", "N/A", "TBD", "", "???"])
def test_a_licence_that_is_not_told_is_another_thing_than_none(tmp_path, licence):
    text = f"Title of work: x\nLicense of the work: {licence}\n"
    code, message = only(read(tmp_path, {SKILL: skill(), BESIDE: text})[1])
    assert (code, message.startswith("the licence is not told")) == ("T128", True)
    code, message = only(read(tmp_path, {SKILL: skill(), BESIDE: "Title of work: x\n"})[1])
    assert (code, message) == ("T128", f"`{BESIDE}` names no licence")


def test_each_work_has_a_licence(tmp_path):
    work = "Title of work: {}\nLink to work: -\n{}Creator names: Ada\n\n"
    told = "License of the work: MIT\n"
    text = work.format("a", told) + work.format("b", "") + work.format("c", told)
    _, report = read(tmp_path, {SKILL: skill(), BESIDE: text})
    assert only(report) == ("T128", "the work `b` has no licence")
    assert report.diagnostics[0].span.line == 6


@pytest.mark.parametrize("text", ["((((" * 900, "MIT OR " * 900, "a" * 100_000, "a-" * 50_000])
def test_no_licence_takes_long_to_read(tmp_path, text):
    _, report = read(tmp_path, {SKILL: skill(), BESIDE: f"License of the work: {text}\n"})
    assert only(report)[0] == "T128"
