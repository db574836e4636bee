"""What somebody knows of a subject goes in; the text of a new leaf comes out.

A package of four thoughts: `table` reads a spreadsheet, `rows` makes examples of its rows, `text`
writes the leaf, `place` finds the folder for it and overwrites nothing.
"""
