"""The plan follower as a chat model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from metaplan.core import digest
from metaplan.models.contract import Completion, Message, Sampling, Usage, cut_at_stop
from metaplan.models.follower.alfworld import AlfworldPlayer
from metaplan.models.follower.moves import FollowerSettings, Move, Player
from metaplan.models.follower.reading import Conversation, read_conversation
from metaplan.models.follower.scienceworld import ScienceWorldPlayer
from metaplan.models.follower.webshop import WebShopPlayer

__all__ = ["PlanFollower"]

_VERSION = "1"
_MOST_SESSIONS = 1024
_PLAYERS: Mapping[str, Callable[[Conversation, FollowerSettings, int], Player]] = {
    "alfworld": AlfworldPlayer,
    "scienceworld": ScienceWorldPlayer,
    "webshop": WebShopPlayer,
}


class PlanFollower:
    """A rule-based agent that obeys the plan in its prompt.

    See the package's docstring for what is built in. It reads messages as any chat model does and
    answers ``Thought: …`` / ``Action: …``; a last ``assistant`` message is continued.

    Chance: the seed of an episode is its `Sampling.seed` (0 where there is none), at temperature 0
    always 0; all draws derive from it, the task's text, and the number of turns so far. At
    temperature 0 there are slips as well: they are part of how able it is, and equal for all plans
    of a task. All calls of one episode must give the same seed. `Sampling.top_p` and
    `Sampling.max_tokens` mean nothing to it.

    Where the calls of an episode name their session, it goes on from the turns that it knows
    instead of living through all of them again; the answers are the same.

    Args:
        settings: How able it is.
    """

    def __init__(self, settings: FollowerSettings | None = None) -> None:
        self.settings = settings or FollowerSettings()
        self._sessions: OrderedDict[tuple[str, int], _Episode] = OrderedDict()

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
        session: str | None = None,
    ) -> list[Completion]:
        """Answers from the messages alone; completion i of n has seed + i."""
        conversation = read_conversation(messages)
        prompt_tokens = sum(len(message["content"].split()) for message in messages)
        seed = (sampling.seed or 0) if sampling.temperature > 0 else 0
        return [
            _completion(self._reply(conversation, seed + i, session), sampling, prompt_tokens)
            for i in range(n)
        ]

    async def close(self) -> None:
        """Forgets all sessions."""
        self._sessions.clear()

    def _reply(self, conversation: Conversation, seed: int, session: str | None) -> str:
        episode = self._episode(conversation, seed, session)
        player, wanted = episode.player, episode.live_through(conversation.turns)
        chance = player.chance(len(conversation.turns))
        head = "" if conversation.opening else "Thought: "
        if chance.random() < self.settings.format_error_rate:
            return f"{head}{wanted.thought} I will {wanted.action} now."
        if chance.random() < self.settings.error_rate:
            wanted = player.slip(chance)
        return f"{head}{wanted.thought}\nAction: {wanted.action}"

    def _episode(self, conversation: Conversation, seed: int, session: str | None) -> _Episode:
        """The episode as far as it is known: from its session, or from nothing."""
        if session is None:
            return _Episode(conversation, self.settings, seed)
        known = self._sessions.pop((session, seed), None)
        if known is None or not known.continues_in(conversation):
            known = _Episode(conversation, self.settings, seed)
        self._sessions[session, seed] = known
        if len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return known


class _Episode:
    """A player with the turns that it has lived through."""

    def __init__(self, conversation: Conversation, settings: FollowerSettings, seed: int) -> None:
        self.player: Player = _PLAYERS[conversation.world](conversation, settings, seed)
        self._start = (conversation.before, conversation.task, conversation.plan)
        self._turns: tuple[tuple[str, str], ...] = ()
        self._moves = self.player.moves()
        self._wanted = next(self._moves)

    def continues_in(self, conversation: Conversation) -> bool:
        """Whether a conversation begins with what was lived through."""
        start = (conversation.before, conversation.task, conversation.plan)
        return start == self._start and conversation.turns[: len(self._turns)] == self._turns

    def live_through(self, turns: tuple[tuple[str, str], ...]) -> Move:
        """Takes in the turns that are new; the move that is due then."""
        for action, observation in turns[len(self._turns) :]:
            self.player.observe(action, observation)
            self._wanted = next(self._moves)
        self._turns = turns
        return self._wanted


def _completion(reply: str, sampling: Sampling, prompt_tokens: int) -> Completion:
    text = cut_at_stop(reply, sampling.stop)
    return Completion(
        text=text,
        usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=len(text.split())),
    )
