"""Code that nobody trusts and tests of it go in; whether the tests hold, and why not, comes out.

A package of its own because what runs inside has no library of ours: only `run` belongs to the
compiler's process. Two processes are started, the tests' and the code's. The code never shares an
interpreter with its judge: it answers calls over a pipe, with plain values, so nothing that it
patches, prints or ends reaches the verdict. Both stand behind the kernel's walls (`walls`).
"""
