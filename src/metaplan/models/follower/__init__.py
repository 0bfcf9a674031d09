"""A rule-based agent that follows plans: the embedded default until a trained one is there.

`PlanFollower` stands behind the `ChatModel` contract. It knows nothing but the text of the
conversation: the room listing, the task sentence, the plan's words, observations.

What is built in, so that nobody takes its numbers for more than they are:

* It **obeys plans by construction**. It carries out the steps as they are worded, in their order:
  "go to the countertop" visits all countertops in turn until the object of the next "take" is
  seen; "go to where the mug may be located" searches the whole room, open surfaces first. What the
  plan leaves out it does not do; what the room lacks it tries twice, in vain. An object that is not
  where the plan says it looks for on its own, as far as its `patience` goes.
* **At the end of the plan** it believes that the task is done and repeats itself; only where a
  manipulation failed, it starts over.
* **Without a plan** it understands the task sentence and goes by itself: it searches from a random
  place on in the order of the room listing, with limited `patience`, and with probability
  `forgetfulness` it forgets the cleaning, heating or cooling, the lamp, or the second object for
  the whole episode.
* It **errs**: with `error_rate` per turn it does something possible but senseless, with
  `format_error_rate` it gives no action, with `skip_rate` it overlooks a step.

So results with it show that the pipeline works: that plan quality is measured, that better plans
are preferred and learned. They do not show that MPO helps language models.
"""

from metaplan.models.follower.model import PlanFollower
from metaplan.models.follower.moves import FollowerSettings

__all__ = ["FollowerSettings", "PlanFollower"]
