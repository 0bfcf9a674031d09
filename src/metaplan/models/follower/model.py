"""The plan follower as a chat model."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from pydantic import Field

from metaplan.core import Record, digest, seed_from
from metaplan.models.contract import Completion, Message, Sampling, Usage, cut_at_stop
from metaplan.models.follower.intents import read_plan
from metaplan.models.follower.memory import Memory
from metaplan.models.follower.policy import Move, Policy, own_intents
from metaplan.models.follower.reading import Conversation, read_conversation

__all__ = ["FollowerSettings", "PlanFollower"]

_VERSION = "1"


class FollowerSettings(Record):
    """How able the follower is.

    Attributes:
        error_rate: Probability, per turn, of a slip: a senseless but possible action.
        format_error_rate: Probability, per turn, of a reply without an action.
        forgetfulness: Probability, per episode without a plan, of forgetting the treatment, the
            lamp, or the second object.
        patience: How many places it looks at in a search of its own.
        skip_rate: Probability, per step of a plan, own or given, of overlooking it.
    """

    error_rate: float = Field(default=0.05, ge=0.0, le=1.0)
    format_error_rate: float = Field(default=0.01, ge=0.0, le=1.0)
    forgetfulness: float = Field(default=0.4, ge=0.0, le=1.0)
    patience: int = Field(default=6, ge=0)
    skip_rate: float = Field(default=0.03, ge=0.0, le=1.0)


class PlanFollower:
    """A rule-based agent that obeys the plan in its prompt.

    See the package's docstring for what is built in. It reads messages as any chat model does and
    answers ``Thought: …`` / ``Action: …``; a last ``assistant`` message is continued.

    Chance: the seed of an episode is its `Sampling.seed` (0 where there is none), at temperature 0
    always 0; all draws derive from it, the task's sentence and room, and the number of turns so
    far. At temperature 0 there are slips as well: they are part of how able it is, and equal for
    all plans of a task. All calls of one episode must give the same seed. `Sampling.top_p` and
    `Sampling.max_tokens` mean nothing to it.

    Args:
        settings: How able it is.
    """

    def __init__(self, settings: FollowerSettings | None = None) -> None:
        self.settings = settings or FollowerSettings()

    @property
    def name(self) -> str:
        """``plan-follower``."""
        return "plan-follower"

    @property
    def can_continue(self) -> bool:
        """True: the plan may stand at the beginning of its own reply."""
        return True

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Version of the rules and hash of the settings."""
        return {
            "model": self.name,
            "version": _VERSION,
            "settings": digest(self.settings.model_dump(mode="json")),
        }

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        n: int = 1,
        session: str | None = None,  # noqa: ARG002 - all it knows is in the messages
    ) -> list[Completion]:
        """Answers from the messages alone; completion i of n has seed + i."""
        conversation = read_conversation(messages)
        prompt_tokens = sum(len(message["content"].split()) for message in messages)
        seed = (sampling.seed or 0) if sampling.temperature > 0 else 0
        return [
            _completion(self._reply(conversation, seed + i), sampling, prompt_tokens)
            for i in range(n)
        ]

    async def close(self) -> None:
        """Nothing to free."""

    def _reply(self, conversation: Conversation, seed: int) -> str:
        memory = Memory()
        wanted = self._replay(conversation, memory, seed)
        chance = _chance(conversation, seed, len(conversation.turns))
        head = "" if conversation.opening else "Thought: "
        if chance.random() < self.settings.format_error_rate:
            return f"{head}{wanted.thought} I will {wanted.action} now."
        if chance.random() < self.settings.error_rate:
            wanted = _slip(conversation, memory, chance)
        return f"{head}{wanted.thought}\nAction: {wanted.action}"

    def _replay(self, conversation: Conversation, memory: Memory, seed: int) -> Move:
        """Lives through the episode again, filling the memory, up to the move that is due."""
        moves = self._policy(conversation, memory, seed).moves()
        wanted = next(moves)
        for action, observation in conversation.turns:
            memory.observe(action, observation)
            wanted = next(moves)
        return wanted

    def _policy(self, conversation: Conversation, memory: Memory, seed: int) -> Policy:
        chance = _chance(conversation, seed, -1)
        forgets = chance.random() < self.settings.forgetfulness
        if conversation.plan is not None:
            intents = read_plan(conversation.plan)
        elif conversation.goal is not None:
            intents = own_intents(conversation.goal, forgets=forgets)
        else:
            intents = ()
        return Policy(
            intents,
            trusted=conversation.plan is not None,
            goal=conversation.goal,
            places=conversation.places,
            memory=memory,
            patience=self.settings.patience,
            skip_rate=self.settings.skip_rate,
            chance=chance,
        )


def _chance(conversation: Conversation, seed: int, turn: int) -> random.Random:
    return random.Random(seed_from(conversation.task, conversation.places, seed, turn))  # noqa: S311


def _slip(conversation: Conversation, memory: Memory, chance: random.Random) -> Move:
    """Something possible that does not help: elsewhere, again, or nothing but a look."""
    options = ["look", "inventory", memory.last_action]
    options += [f"go to {place}" for place in conversation.places[:1]]
    if conversation.places:
        options.append(f"go to {chance.choice(conversation.places)}")
    return Move(chance.choice([option for option in options if option]), "Let me see.")


def _completion(reply: str, sampling: Sampling, prompt_tokens: int) -> Completion:
    text = cut_at_stop(reply, sampling.stop)
    return Completion(
        text=text,
        usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=len(text.split())),
    )
