"""What the comparisons share: a process of its own for each run, figures beside their goals."""

import multiprocessing


def fresh(work, *words):
    """What a function returns in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, words)


class Goals:
    """Prints figures beside their goals, and remembers whether one was missed."""

    missed = False

    def say(self, name, figure, goal=None, least=False, unit="", about=""):
        reached = goal is None or (figure >= goal if least else figure <= goal)
        self.missed |= not reached
        aim = f"{'at least' if least else 'at most'} {goal:g}{unit}" if goal is not None else ""
        mark = ("ok" if reached else "MISSED") if aim else ""
        print(f"{name:52} {figure:8.4g}{unit:3} {aim:16} {mark:7} {about}".rstrip(), flush=True)
