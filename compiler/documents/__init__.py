"""Pinned documents go in; normalised text and chunks of it come out.

A package of four thoughts: `text` makes bytes plain and comparable, `patterns` says which files are
meant, `fetch` brings those of a commit, `chunk` cuts them to a token budget.
"""
