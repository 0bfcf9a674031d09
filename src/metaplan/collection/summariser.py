"""A language model that tells trajectories as plans (paper, section 3.1, Figures 7-9, Appendix C).

Appendix C names three faults of GPT-4o's plans. Too detailed ones, and such with actions that the
environment lacks, are summarised again at other temperatures. From wrongly formatted answers the
model is asked to extract the plan. What still fails, and overly complex plans, wait for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from metaplan.collection.conversation import conversation_text
from metaplan.collection.memory import RememberedModel
from metaplan.collection.seeds import Attempt, examine
from metaplan.core import (
    ContextLimitError,
    Dialect,
    ExpertTrajectory,
    ModelFault,
    fill,
    seed_from,
)
from metaplan.environments import Benchmark
from metaplan.environments.texts import packaged_text
from metaplan.models import Completion, Sampling

__all__ = ["Summariser"]

_SHORT_OBSERVATION = 120
"""Characters; with them 100 steps of ScienceWorld are about 4,000 tokens."""


@dataclass(frozen=True, kw_only=True)
class Summariser:
    """Summarises trajectories with a chat model.

    Attributes:
        model: With the run's memory: an interrupted collection goes on where it stood.
        benchmark: For the prompt and for the actions that plans may use.
        dialect: What a plan is called.
        temperatures: Of the first summary and, in order, of the further ones.
        max_tokens: Longest summary.
        seed: Of the experiment.
    """

    model: RememberedModel
    benchmark: Benchmark
    dialect: Dialect
    temperatures: tuple[float, ...]
    max_tokens: int
    seed: int

    async def summarise(self, trajectory: ExpertTrajectory) -> tuple[Attempt, ...]:
        """Tries until a plan passes, only a person can help, or no temperature is left.

        A conversation that does not fit the model is shown with its observations cut short.

        Args:
            trajectory: A solved one.

        Returns:
            The attempts, in order; none for a trajectory without steps.

        Raises:
            RunError: The model answers nobody any more.
        """
        if not trajectory.steps:
            return ()
        try:
            return await self._attempts(trajectory, shortened=False)
        except ContextLimitError:
            pass
        try:
            return await self._attempts(trajectory, shortened=True)
        except ContextLimitError as error:
            trouble = f"too long for the model even with observations cut short: {error}"
            return (Attempt(by="summary", text="", trouble=trouble, shortened=True),)

    async def _attempts(
        self, trajectory: ExpertTrajectory, *, shortened: bool
    ) -> tuple[Attempt, ...]:
        longest = _SHORT_OBSERVATION if shortened else None
        prompt = self._prompt(
            self.benchmark.prompts.collection,
            task=trajectory.task.instruction,
            conversation=conversation_text(trajectory, longest),
        )
        extraction = packaged_text("metaplan.collection", "prompts", "extraction")
        attempts: list[Attempt] = []
        for temperature in self.temperatures:
            attempts.append(await self._ask("summary", prompt, temperature, trajectory, attempts))
            if _is_misformatted(attempts[-1]):
                request = self._prompt(extraction, answer=attempts[-1].text)
                attempts.append(await self._ask("extraction", request, 0.0, trajectory, attempts))
            if _is_final(attempts[-1]):
                break
        return tuple(attempt.model_copy(update={"shortened": shortened}) for attempt in attempts)

    def _prompt(self, template: str, **texts: str) -> str:
        """Fills in texts, and the dialect where the template speaks it."""
        words = {"plan_words": self.dialect.words, "tag": self.dialect.value}
        used = {slot: text for slot, text in words.items() if f"{{{slot}}}" in template}
        return fill(template, **texts, **used)

    async def _ask(
        self,
        by: Literal["summary", "extraction"],
        prompt: str,
        temperature: float,
        trajectory: ExpertTrajectory,
        earlier: Sequence[Attempt],
    ) -> Attempt:
        sampling = Sampling(
            temperature=temperature,
            max_tokens=self.max_tokens,
            seed=seed_from(self.seed, trajectory.task.key, len(earlier)),
        )
        attempt = Attempt(by=by, text="", temperature=temperature)
        try:
            completion = await self.model.ask([{"role": "user", "content": prompt}], sampling)
        except ModelFault as fault:
            trouble = f"the model gave no answer: {fault}"
            return attempt.model_copy(update={"trouble": trouble, "unanswered": True})
        said = {"text": completion.text, "trouble": self._trouble(completion)}
        return examine(attempt.model_copy(update=said), self.benchmark.action_templates)

    def _trouble(self, completion: Completion) -> str:
        """A plan that was cut off may read well, and lack its end."""
        if completion.finish_reason == "length":
            return f"cut off after {self.max_tokens} tokens (collect.summariser.max_tokens)"
        return "" if completion.text.strip() else "the model's answer is empty"


def _is_misformatted(summary: Attempt) -> bool:
    return not summary.trouble and summary.has("format")


def _is_final(attempt: Attempt) -> bool:
    """Whether it passes, or another temperature would not help."""
    kinds = {problem.kind for problem in attempt.problems}
    return attempt.unanswered or (not attempt.trouble and kinds <= {"too_complex"})
