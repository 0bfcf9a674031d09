"""Environment workers as Ray actors: a cluster of several nodes that are all this machine."""

import pytest

from metaplan.agents import Agent, PromptProfile
from metaplan.core import EpisodeSpec, MetaPlan, Placement
from metaplan.environments import get_benchmark
from metaplan.episodes import EnvironmentPool, EpisodeRunner, RetryPolicy, RunStore
from metaplan.episodes.executors import LocalExecutor, RayExecutor, RaySettings
from metaplan.models import PlanFollower, Sampling

pytest.importorskip("ray", reason="Ray is not installed: pip install 'metaplan[ray]'")

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
PLANS = (None, MetaPlan(steps=("Look at likely places for the object.", "Take it away.")))


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    head = NODE | {"include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


async def play_household(directory, executor, workers, meanwhile=None):
    """Finished episodes of some household tasks, and how the pool fared."""
    agent = Agent(
        model=PlanFollower(),
        sampling=Sampling(temperature=0.7, max_tokens=64),
        profile=PromptProfile.COMPACT,
    )
    benchmark = get_benchmark("household")
    specs = [
        EpisodeSpec(
            task=task,
            environment="e",
            plan=plan,
            placement=Placement.INSTRUCTION if plan else None,
            agent=agent.fingerprint,
            repetition=repetition,
        )
        for task in benchmark.tasks("train")[:8]
        for plan in PLANS
        for repetition in range(3)
    ]
    pool = EnvironmentPool(workers, timeout_s=30, executor=executor)
    with RunStore(directory) as store:
        async with pool:
            runner = EpisodeRunner(
                store=store,
                pool=pool,
                agent=agent,
                benchmark=benchmark,
                retry=RetryPolicy(attempts=4, first_wait_s=0.1),
                concurrency=16,
            )
            await runner.run(specs, purpose="explore", on_episode=meanwhile)
        keys = [spec.key for spec in specs]
        return list(store.episodes(keys)), pool


def what_counts(episodes):
    return [(e.key, e.reward, e.success, e.stop_reason, e.turns) for e in episodes]


async def test_episodes_are_those_of_the_local_executor(cluster, tmp_path):
    local, _ = await play_household(tmp_path / "local", LocalExecutor(), 2)
    executor = await RayExecutor.connect(RaySettings(address=cluster.address))
    far, _ = await play_household(tmp_path / "ray", executor, 2)
    assert len(far) == 48
    assert what_counts(far) == what_counts(local)
