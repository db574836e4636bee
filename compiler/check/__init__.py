"""Leaves go in; what no schema can say of them is reported.

A package of its own because each of these rules looks at meaning: at two questions, at a leaf and
its document, at a licence. They are warnings, for InstructLab's validator passes all of it; a
curriculum can raise them. `within` lists the checks of one leaf, `across` those of several,
`authors` those of commits.
"""
