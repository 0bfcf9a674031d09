"""A real environment of this process."""

from metaplan.environments import Environment


class InProcess:
    """A real game as the asynchronous environment that it is behind a worker."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    async def reset(self):
        return self._environment.reset()

    async def step(self, action):
        return self._environment.step(action)

    async def close(self):
        self._environment.close()
