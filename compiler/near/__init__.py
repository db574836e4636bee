"""Prints of samples go in; of those that were added, the nearest to another comes out."""

from compiler.near.added import Near

__all__ = ["Near"]
