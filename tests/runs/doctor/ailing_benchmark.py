"""A third party's benchmark that is household, and ails as an environment variable says."""

import os
import time
import warnings
from dataclasses import replace

from metaplan.core import DataError, MissingDependencyError
from metaplan.environments import SetSize, household


def load(task):
    match os.environ.get("AILMENT"):
        case "hang":
            time.sleep(600)
        case "crash":
            os._exit(7)
        case "raise":
            raise RuntimeError("the simulator is confused")
        case "package":
            raise MissingDependencyError("chess", "chess")
        case "slow path":
            warnings.warn("plays through the stock library, slowly", stacklevel=1)
    return household.load(task)


def tasks(task_set):
    if os.environ.get("AILMENT") == "data":
        raise DataError("there are no games: run 'metaplan data fetch ailing'")
    return household.tasks(task_set)


SIZES = {"train": SetSize(10_001, 30)} if os.environ.get("AILMENT") == "few" else {}
BENCHMARK = replace(household.BENCHMARK, name="ailing", tasks=tasks, load=load, sizes=SIZES)
