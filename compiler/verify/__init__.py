"""A sample's columns go in; a reason comes out, "" where the answer passes.

A package of its own because a checker cannot be talked to: it computes, and no wording of an answer
changes what it finds. So it is asked before any judge, and outranks it. One file per kind.
"""

from compiler.verify.agreement import agreed
from compiler.verify.checker import KINDS, Checker, checker
from compiler.verify.later import Lasting, Passed, lasting, of_people, written
from compiler.verify.said import BrokenChecker

__all__ = [
    "KINDS",
    "BrokenChecker",
    "Checker",
    "Lasting",
    "Passed",
    "agreed",
    "checker",
    "lasting",
    "of_people",
    "written",
]
