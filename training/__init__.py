"""Training: a build folder goes in; a student, its evaluation and a report come out.

As a library, in five lines (docs/library.md):

    from training import library
    student = library.train("out/build", "tiny-cpu", "out/student")
    print(student.answer("What does CC-BY-4.0 ask for?"))
    scores = student.evaluate()["sets"]["heldout"]
    print(scores["base"]["all"], scores["phase2"]["all"])
"""
