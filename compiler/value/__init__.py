"""Points and a dev set go in; what each point adds to telling the leaves apart comes out.

A package of its own because it is evidence about who gave what, not a verdict: nothing is deleted
for a value alone, and what people wrote is exempt from any quarantine.
"""

import numpy as np

from compiler.curriculum import ValueSettings
from compiler.features import counts, weights
from compiler.value.bayes import Bayes
from compiler.value.cs import Floats, cs_shapley, normalised, walks_of
from compiler.value.knn import NEIGHBOURS, knn_shapley
from compiler.value.loo import leave_one_out
from compiler.value.point import Point, Task, point_from, point_of, task_of
from compiler.value.sums import Standing, lowest, standings

__all__ = [
    "Point",
    "Standing",
    "Task",
    "lowest",
    "point_from",
    "point_of",
    "standings",
    "task_of",
    "value",
]


def value(task: Task, settings: ValueSettings, seed: int) -> dict[str, float]:
    """The value of each point by its id, by `settings.method`, which is not `none`.

    All are 0 where there are no two classes to tell apart, or nothing that judges. Of CS-Shapley
    the values of a class sum to its in-class accuracy with all points; the nearest neighbours are
    at most half of the smallest class, for where all points are near none is nearer.
    """
    if len(task.names) < 2 or not task.dev:
        return {point.id: 0.0 for point in task.points}
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # small products: threads cost more, and would change last digits
        values = _values(task, settings, seed)
    return {point.id: float(v) for point, v in zip(task.points, values.round(12), strict=True)}


def _values(task: Task, settings: ValueSettings, seed: int) -> Floats:
    points = counts(point.text for point in task.points)
    dev = counts(point.text for point in task.dev)
    if settings.method == "knn-shapley":
        of = weights(points)
        few = min(NEIGHBOURS, (int(np.bincount(task.labels).min()) + 1) // 2)
        return knn_shapley(of.transform(points), task.labels, of.transform(dev), task.asked, few)
    classifier = Bayes(points, task.labels, dev)
    if settings.method == "leave-one-out":
        return leave_one_out(classifier, task.labels, task.asked)
    walks = walks_of(task.labels, settings.environments, seed)
    found = cs_shapley(classifier, task.labels, task.asked, walks, settings.truncation)
    return normalised(found, task.labels, task.asked, classifier.full())
