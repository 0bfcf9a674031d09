"""The meta planner: task → meta plans (`π_g` in the paper, section 2)."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from importlib import resources
from pathlib import Path

from pydantic import Field, ValidationError

from metaplan.core import (
    DataError,
    Dialect,
    MetaPlan,
    PlanParseError,
    Record,
    Task,
    digest,
    fill,
    seed_from,
)
from metaplan.models import ChatModel, LocalModel, Message, Sampling, Usage

__all__ = ["PlanSample", "Planner", "PlannerPrompt", "load_planner"]

_PROMPT_FILE = "planner.json"


class PlannerPrompt(Record):
    """What a planner reads. Saved with a trained planner: it must be asked as it was taught.

    Attributes:
        template: The benchmark's (Figures 7-9 without the conversation) or the compact one; with
            the slots ``{task}`` and, as far as it uses them, ``{plan_words}`` and ``{tag}``.
        dialect: Words and tags; ``workflow`` for the authors' released checkpoints.
        max_tokens: Longest plan.
    """

    template: str
    dialect: Dialect = Dialect.META_PLAN
    max_tokens: int = Field(default=512, ge=1)

    @classmethod
    def compact(cls, dialect: Dialect = Dialect.META_PLAN, max_tokens: int = 160) -> PlannerPrompt:
        """The short prompt for models too small for the paper's."""
        return cls(template=_compact_template(), dialect=dialect, max_tokens=max_tokens)

    def messages(self, instruction: str) -> list[Message]:
        """The chat that asks for a plan; the same in training and in use.

        Args:
            instruction: The task with what the agent sees first (`Task.instruction`).
        """
        words = {"task": instruction, "plan_words": self.dialect.words, "tag": self.dialect.value}
        used = {slot: text for slot, text in words.items() if f"{{{slot}}}" in self.template}
        return [{"role": "user", "content": fill(self.template, **used)}]

    def save(self, directory: Path) -> None:
        """Writes the prompt beside a checkpoint's weights."""
        (directory / _PROMPT_FILE).write_text(self.model_dump_json(indent=2) + "\n", "utf-8")

    @classmethod
    def load(cls, directory: Path) -> PlannerPrompt:
        """Reads the prompt of a checkpoint.

        Raises:
            DataError: The directory holds no planner, or its file is damaged.
        """
        path = directory / _PROMPT_FILE
        try:
            return cls.model_validate(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            raise DataError(
                f"{directory} is not a planner: it has no {_PROMPT_FILE}. Planners are the folders "
                f"under planners/ of a run directory"
            ) from None
        except (ValidationError, ValueError) as error:
            raise DataError(f"{path} is damaged: {error}") from None


@cache
def _compact_template() -> str:
    return (resources.files(__package__) / "prompts" / "compact.txt").read_text("utf-8")


class PlanSample(Record):
    """One completion of a planner.

    Attributes:
        index: Which of the M samples; 0 ≤ index < M.
        plan: None where the completion holds no readable plan; without repeated steps.
        raw: The completion as it came.
        usage: Its tokens.
    """

    task_key: str
    index: int = Field(ge=0)
    plan: MetaPlan | None
    raw: str
    usage: Usage = Usage()


class Planner:
    """A chat model that is asked for meta plans, zero-shot (paper, section 4.1).

    Args:
        model: Any chat model: a fine-tuned small one, or an LLM (the paper's "GPT" row).
        prompt: How it is asked.
    """

    def __init__(self, model: ChatModel, prompt: PlannerPrompt) -> None:
        self.model = model
        self.prompt = prompt

    @property
    def fingerprint(self) -> str:
        """What shapes the plans: model and prompt."""
        return digest(dict(self.model.fingerprint), self.prompt.model_dump(mode="json"))

    async def sample(
        self,
        task: Task,
        count: int,
        *,
        temperature: float = 0.7,
        seed: int = 0,
        start: int = 0,
    ) -> list[PlanSample]:
        """Draws independent plans: ``{p_i | i = 1…M} ∼ π_g(p|u)`` (paper, section 3.3).

        Each sample has a seed of its own, from `seed`, the task's key and its index, so that a
        larger M extends a smaller one.

        Args:
            task: With its instruction.
            count: How many samples to draw.
            temperature: 0.7 in exploration, 0 in evaluation.
            seed: Of the experiment.
            start: Index of the first sample.

        Raises:
            ModelFault: The model could not answer.
            ContextLimitError: The task does not fit the model.
        """
        messages = self.prompt.messages(task.instruction)

        async def draw(index: int) -> PlanSample:
            sampling = Sampling(
                temperature=temperature,
                max_tokens=self.prompt.max_tokens,
                seed=seed_from(seed, task.key, index),
                distinct_steps=True,
            )
            (completion,) = await self.model.complete(messages, sampling)
            try:
                plan = MetaPlan.parse(completion.text).without_repeats()
            except PlanParseError:
                plan = None
            return PlanSample(
                task_key=task.key,
                index=index,
                plan=plan,
                raw=completion.text,
                usage=completion.usage,
            )

        return list(await asyncio.gather(*map(draw, range(start, start + count))))

    def plan(self, task: Task | str) -> MetaPlan:
        """The greedy plan for a task: the one-liner for use in one's own agent.

        Not for use inside a running event loop; there, await `sample` with temperature 0.

        Args:
            task: A task, or its text (with what the agent sees first, where there is such).

        Raises:
            PlanParseError: The model wrote no plan.
        """
        if isinstance(task, str):
            task = Task(key="", benchmark="", task_set="", task_type="", instruction=task)
        (sample,) = asyncio.run(self.sample(task, 1, temperature=0.0))
        return sample.plan or MetaPlan.parse(sample.raw)


def load_planner(path: str | Path) -> Planner:
    """Loads a trained planner from its directory (extra ``train``).

    Args:
        path: A folder with weights, tokenizer and ``planner.json``.

    Raises:
        DataError: There is no planner in the folder.
        MissingDependencyError: torch or transformers is not installed.
    """
    directory = Path(path)
    prompt = PlannerPrompt.load(directory)
    return Planner(LocalModel(directory), prompt)
