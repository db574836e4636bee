"""Training: a build folder goes in; a student, its evaluation and a report come out."""
