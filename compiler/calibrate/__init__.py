"""People's grades and candidate assertions go in; those that agree with people come out."""
