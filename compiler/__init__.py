"""Trivium's compiler: a git taxonomy of `qna.yaml` leaves goes in, a two-phase training curriculum
comes out.
"""

__version__ = "0.1.0"
