"""Normalising, matching, fetching and chunking of pinned documents."""

import os
import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from compiler.diagnostics import Report, Span
from compiler.documents.chunk import chunk, estimate_tokens
from compiler.documents.fetch import Document, fetch
from compiler.documents.patterns import matches
from compiler.documents.text import normalise
from compiler.leaf import DocumentRef, KnowledgeLeaf
from compiler.source import WorkTree


def plain(text):
    return normalise(text.encode())


@pytest.mark.parametrize(
    "before, after",
    [
        ("\ufeffone\r\ntwo\rthree", "one\ntwo\nthree\n"),
        ("e\u0301", "\u00e9\n"),
        ("a  \n\n\n\n b\t\n", "a\n\n b\n"),
        ("---\ntitle: x\n---\n# Head\n", "# Head\n"),
        ("---\na rule, no front matter\n---\n", "---\na rule, no front matter\n---\n"),
        ("a<!-- never\nseen -->b <!-- open", "ab <!-- open\n"),
        ('a [passerine](passerine "wikilink") bird', "a passerine bird\n"),
        ('[dominance\nhierarchies](Dominance_hierarchy "wikilink")', "dominance\nhierarchies\n"),
        ("[family](family_(biology)) of [a](<b>)", "family of a\n"),
        ("x ![alt](a.png) y [![alt](a.png)](b)", "x  y\n"),
        ("![](data:image/png;base64,AAAA)z", "z\n"),
        ("see [the page][p] and [this]\n\n[p]: http://x.org\n", "see the page and [this]\n"),
        ("<https://a.org/b>", "https://a.org/b\n"),
        ("`a[0](b)` and\n```\n[x](y)\n```\n[x](y)", "`a[0](b)` and\n```\n[x](y)\n```\nx\n"),
        ("an [a\\]b](c), a \\[d](e), a [f]( g  'h i' )", "an a\\]b, a \\[d](e), a f\n"),
        ("a list [ ] and (b)", "a list [ ] and (b)\n"),
        (" \n\t\n", ""),
    ],
)
def test_normalise(before, after):
    assert plain(before) == after
    assert plain(after) == after


def test_bytes_that_are_not_utf8_are_marked():
    assert normalise(b"caf\xe9 ok") == "caf\ufffd ok\n"


HOSTILE = {
    "spaces": lambda n: "a" + " " * n + "b",
    "escaped brackets": lambda n: "[\\" * n,
    "an open target": lambda n: "[a](" + " " * n,
    "a target of two words": lambda n: "[a](x" + " " * n + "y",
    "a title and more": lambda n: '[a](x "t"' + " " * n + "y",
    "open titles": lambda n: "[a](x 'y [a](x \"y " * (n // 10),
    "an open definition": lambda n: "[a]: x" + " " * n + "y",
    "brackets in the target": lambda n: "[a](x" + "(c)" * n + " y",
    "an open image": lambda n: "![" + "\\]" * n,
    "open code": lambda n: "``" + " x" * n,
    "front matter without an end": lambda n: "---\na:" + "--- " * n,
    "marks out of order": lambda n: "a" + "\u0301\u0316" * n,
    "a heading of hashes": lambda n: "# " + "# " * n + "x",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_takes_linear_time(name):
    text = HOSTILE[name](200_000)
    start = time.perf_counter()
    assert chunk(document(normalise(text.encode())), 500)
    assert time.perf_counter() - start < 4


def test_marks_are_put_in_order_where_they_are_writing():
    assert plain("e\u0301\u0316 …") == "\u00e9\u0316 …\n"


@pytest.mark.parametrize("line", ["# C sharp", "# C sharp #", "#  C sharp ## "])
def test_a_heading_closes_with_hashes_or_without(line):
    (piece,) = chunk(document(f"{line}\n"), 100)
    assert piece.headings == ("C sharp",)


@pytest.mark.parametrize(
    "path, pattern, expected",
    [
        ("a.md", "*.md", True),
        ("docs/a.md", "*.md", False),
        ("docs/a.md", "docs/*.md", True),
        ("docs/a.md", "./docs/a.md", True),
        ("a.md", "**/*.md", True),
        ("x/y/a.md", "**/*.md", True),
        ("x/y/a.md", "x/**", True),
        ("x/.y/a.md", "x/**/a.md", False),
        (".hidden.md", "*.md", False),
        (".hidden.md", ".*.md", True),
        ("a1.md", "a[0-9].md", True),
        ("ab.md", "a[!0-9].md", True),
        ("secret.md", "../secret.md", False),
        ("secret.md", "/secret.md", False),
        ("x/y", "**", True),
    ],
)
def test_patterns_match_as_globs_do(path, pattern, expected):
    assert matches(path, pattern) is expected


def test_a_hostile_pattern_takes_no_time():
    start = time.perf_counter()
    assert not matches("a" * 200 + "/" + "a" * 200, "**/" + "*a" * 60 + "b")
    assert time.perf_counter() - start < 0.5


def knowledge(repo, commit, *patterns):
    span = Span("knowledge/x/qna.yaml", 9, 1, 9, 9)
    return KnowledgeLeaf(
        "knowledge/x",
        "knowledge/x/qna.yaml",
        "0" * 40,
        3,
        "someone",
        (),
        (),
        span,
        "x",
        "x",
        DocumentRef(repo, commit, patterns, span, (span,) * (1 + len(patterns))),
    )


def git(folder, *words):
    env = {**os.environ, "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z"}
    me = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *me, *words], cwd=folder, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


ADDRESS = "https://documents.invalid/x"


def mirror(monkeypatch, place, address=ADDRESS):
    """Points git at a local folder or bundle for `address`."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{place}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", address)


@pytest.fixture
def repo(tmp_path, monkeypatch):
    folder = tmp_path / "documents"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs" / "a.md").write_text("# A\n\nold\n")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    first = git(folder, "rev-parse", "HEAD")
    (folder / "docs" / "a.md").write_text("# A\n\nnew\n")
    (folder / "docs" / "b.TXT").write_text("b")
    (folder / "docs" / "paper.pdf").write_bytes(b"%PDF")
    (folder / "docs" / "empty.md").write_text("<!-- nothing -->\n")
    (folder / "docs" / "link.md").symlink_to("/etc/passwd")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "two")
    mirror(monkeypatch, folder)
    return folder, first, git(folder, "rev-parse", "HEAD")


def got(leaf, tmp_path):
    report = Report()
    found = fetch(leaf.document, WorkTree(tmp_path), tmp_path / "cache", report)
    assert all(d.span == leaf.document.span for d in report.diagnostics)
    return {d.path: d for d in found}, [d.code.id for d in report.diagnostics]


def test_the_pinned_commit_is_read_and_nothing_later(repo, tmp_path):
    folder, first, second = repo
    old, said = got(knowledge(ADDRESS, first, "docs/*"), tmp_path)
    assert (said, list(old), old["docs/a.md"].text) == ([], ["docs/a.md"], "# A\n\nold\n")
    new, said = got(knowledge(ADDRESS, second, "docs/*"), tmp_path)
    assert list(new) == ["docs/a.md", "docs/b.TXT"]
    assert new["docs/a.md"].text == "# A\n\nnew\n"
    assert new["docs/a.md"].blob == git(folder, "rev-parse", "HEAD:docs/a.md")
    assert said == ["T143", "T144"]


def test_what_was_fetched_is_read_without_the_repository(repo, tmp_path):
    folder, first, _ = repo
    before, _ = got(knowledge(ADDRESS, first, "docs/a.md"), tmp_path)
    folder.rename(tmp_path / "gone")
    after, said = got(knowledge(ADDRESS, first, "docs/a.md"), tmp_path)
    assert (after, said) == (before, [])
    assert got(knowledge(ADDRESS, "f" * 40, "docs/a.md"), tmp_path) == ({}, ["T140"])


def test_a_branch_and_a_bundle_are_read(repo, tmp_path, monkeypatch):
    folder, first, second = repo
    documents, said = got(knowledge(ADDRESS, "main", "docs/a.md"), tmp_path)
    assert (documents["docs/a.md"].commit, said) == (second, [])
    bundle = tmp_path / "all.bundle"
    git(folder, "bundle", "create", "-q", str(bundle), "--all")
    mirror(monkeypatch, bundle, "https://documents.invalid/y")
    leaf = knowledge("https://documents.invalid/y", first, "docs/a.md")
    documents, said = got(leaf, tmp_path)
    assert (documents["docs/a.md"].text, said) == ("# A\n\nold\n", [])


@pytest.mark.parametrize(
    "address, commit, pattern, code",
    [
        (ADDRESS, "0" * 40, "docs/a.md", "T141"),
        (ADDRESS, "no such branch", "docs/a.md", "T141"),
        (ADDRESS, "--help", "docs/a.md", "T141"),
        (ADDRESS, "{second}", "docs/none.md", "T142"),
        (ADDRESS, "{second}", "../../etc/*.md", "T142"),
        (ADDRESS, "{second}", "docs/paper.pdf", "T143"),
        (ADDRESS, "{second}", "docs/empty.md", "T144"),
        (ADDRESS, "{second}", "docs/link.md", "T142"),
        (f"{ADDRESS}/none", "{second}", "docs/a.md", "T140"),
        ("{repo}", "{second}", "docs/a.md", "T139"),
        ("documents", "{second}", "docs/a.md", "T139"),
        ("./documents", "{second}", "docs/a.md", "T139"),
        ("file://{repo}", "{second}", "docs/a.md", "T139"),
        ("--upload-pack=touch {repo}/pwned", "{second}", "docs/a.md", "T139"),
        ("ext::sh -c touch% {repo}/pwned", "{second}", "docs/a.md", "T139"),
        ("not a url", "{second}", "docs/a.md", "T139"),
    ],
)
def test_a_users_mistake_is_a_finding(repo, tmp_path, monkeypatch, address, commit, pattern, code):
    folder, _, second = repo
    monkeypatch.chdir(tmp_path)
    fill = {"repo": folder, "second": second}
    leaf = knowledge(address.format(**fill), commit.format(**fill), pattern)
    assert got(leaf, tmp_path) == ({}, [code])
    assert not (folder / "pwned").exists()


def test_two_builds_may_fetch_at_once(repo, tmp_path):
    _, first, second = repo
    commits = [first, "main", second, "main"] * 3
    for round in range(3):
        reports = [Report() for _ in commits]

        def fetched(i, cache=tmp_path / f"cache{round}", reports=reports):
            leaf = knowledge(ADDRESS, commits[i], "docs/a.md")
            return len(fetch(leaf.document, WorkTree(tmp_path), cache, reports[i]))

        with ThreadPoolExecutor(len(commits)) as together:
            found = list(together.map(fetched, range(len(commits))))
        assert [d.message for report in reports for d in report.diagnostics] == []
        assert found == [1] * len(commits)


def test_a_document_of_the_taxonomy_itself(tmp_path):
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "bird.md").write_text("A bird.\n")
    documents, said = got(knowledge(".", "HEAD", "documents/*.md"), tmp_path)
    assert (documents["documents/bird.md"].text, said) == ("A bird.\n", [])
    assert got(knowledge(".", "HEAD", "documents/brid.md"), tmp_path) == ({}, ["T142"])


def test_a_document_that_breaks_while_it_is_read_is_a_finding(tmp_path, monkeypatch):
    (tmp_path / "bird.md").write_text("A bird.\n")

    def broken(self, path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(WorkTree, "read", broken)
    assert got(knowledge(".", "HEAD", "bird.md"), tmp_path) == ({}, ["T140"])


WORDS = ["the", "chickadee", "eats", "seeds,", "It", "sings!", "42", "états", "鳥は飛ぶ。", "a(b)?"]


def some_document(seed):
    """A document with every kind of block, drawn from a seed."""
    draw = random.Random(seed)

    def sentence():
        return " ".join(draw.choices(WORDS, k=draw.randint(1, 40)))

    def table():
        return "\n".join(f"| {sentence()} | {draw.random():.3f} |" for _ in range(12))

    blocks = [
        lambda: f"{'#' * draw.randint(1, 5)} {' '.join(draw.choices(WORDS, k=2))}",
        lambda: f"{draw.choice(WORDS)}\n{draw.choice('=-') * 5}",
        lambda: " ".join(sentence() for _ in range(draw.randint(1, 12))),
        lambda: "\n".join(f"- {sentence()}" for _ in range(5)),
        table,
        lambda: f"```\n{sentence()}\n\n# no heading\n{sentence()}\n```",
        lambda: "x" * draw.randint(1, 900),
        lambda: "---",
    ]
    gap = draw.choice(["\n\n", "\n"])
    return normalise(gap.join(draw.choice(blocks)() for _ in range(draw.randint(0, 60))).encode())


def document(text):
    return Document("docs/a.md", ".", "", "0" * 40, text)


SEEDS = [f"{os.environ['TRIVIUM_TEST_SEED']}-{n}" for n in range(60)]


@pytest.mark.parametrize("seed", SEEDS)
def test_chunks_tile_the_document(seed):
    text = some_document(seed)
    budget = random.Random(seed).choice([1, 7, 40, 200, 5000])
    chunks = chunk(document(text), budget)
    end = 0
    for piece in chunks:
        assert piece.text == text[piece.start : piece.end] != ""
        assert piece.text == piece.text.strip()
        assert text[end : piece.start].strip() == ""
        assert piece.tokens == estimate_tokens(piece.text) <= budget
        end = piece.end
    assert text[end:].strip() == ""
    assert len({piece.id for piece in chunks}) == len(chunks)


def test_a_chunk_knows_its_headings_and_begins_with_its_own():
    body = "word " * 60
    text = plain(f"# Birds\n\n{body}\n\n## Food\n\n{body}\n\n## Song\n\n{body}\n\n# Fish\n\n{body}")
    chunks = chunk(document(text), 80)
    assert [piece.headings for piece in chunks] == [
        ("Birds",),
        ("Birds", "Food"),
        ("Birds", "Song"),
        ("Fish",),
    ]
    assert [piece.text.split("\n")[0] for piece in chunks] == [
        "# Birds",
        "## Food",
        "## Song",
        "# Fish",
    ]


def test_tiny_sections_share_a_chunk_and_a_hash_in_code_is_no_heading():
    text = plain("# A\n\none\n\n## B\n\ntwo\n\n```\n# C\n\nx\n```\n\n## D\n\nthree")
    (piece,) = chunk(document(text), 100)
    assert piece.headings == ("A",)
    assert [c.headings for c in chunk(document(text), 12)][-1] == ("A", "D")


def test_a_table_is_cut_between_rows():
    rows = [f"| row {i} | {'cell ' * 6} |" for i in range(40)]
    chunks = chunk(document(plain("\n".join(rows))), 50)
    assert len(chunks) > 5
    assert [row for piece in chunks for row in piece.text.split("\n")] == rows


def test_sentences_stay_whole_where_they_can():
    text = plain(" ".join(f"Sentence {i} has exactly these words." for i in range(50)))
    chunks = chunk(document(text), 40)
    assert all(piece.text.endswith(".") for piece in chunks)
    assert all(piece.text.startswith("Sentence") for piece in chunks)


@pytest.mark.parametrize(
    "unit",
    ["A word of text, (and) [more](x) of it.\n\n", "word ", "[", "<!--", "`", "| a | b |\n", "#"],
)
def test_a_large_document_is_cut_in_linear_time(unit):
    data = (unit * (800_000 // len(unit))).encode()
    start = time.perf_counter()
    chunks = chunk(document(normalise(data)), 500)
    assert chunks
    assert time.perf_counter() - start < 2
