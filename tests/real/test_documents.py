"""The documents that real leaves pin, fetched from bundles as from a mirror."""

import time

import pytest

from compiler.diagnostics import Report
from compiler.documents.chunk import chunk
from compiler.documents.fetch import fetch
from compiler.front import read_checked
from compiler.leaf import KnowledgeLeaf
from compiler.source.revision import Revision


@pytest.mark.parametrize("branch", ["main", *(f"pr/{n}" for n in (1293, 1320, 1377, 1383, 1410))])
def test_pinned_documents_are_fetched_and_cut(taxonomy, mirrored, tmp_path, branch):
    source = Revision(taxonomy, f"origin/{branch}")
    leaves = [
        leaf
        for leaf in read_checked(source, Report())[1].leaves
        if (isinstance(leaf, KnowledgeLeaf) and "juliadenham" in leaf.document.repo)
        or (branch != "main" and isinstance(leaf, KnowledgeLeaf))
    ]
    assert len(leaves) >= 2
    for leaf in leaves:
        report = Report()
        documents = fetch(leaf.document, source, tmp_path, report)
        start = time.perf_counter()
        chunks = [piece for document in documents for piece in chunk(document, 500)]
        assert time.perf_counter() - start < 2
        assert documents
        assert not report.diagnostics
        assert sum(piece.tokens for piece in chunks) / len(chunks) > 250
        assert max(piece.tokens for piece in chunks) <= 500
