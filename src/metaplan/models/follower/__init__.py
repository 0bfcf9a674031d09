"""A rule-based agent that follows plans: the embedded default until a trained one is there.

`PlanFollower` stands behind the `ChatModel` contract. It knows nothing but the text of the
conversation: the task, the plan's words, observations. By these it tells in which world it is:
ALFWorld (and household games), ScienceWorld or WebShop, each with a package of its own.

What is built in, so that nobody takes its numbers for more than they are:

* It **obeys plans by construction**. It carries out the steps as they are worded, in their order.
  In ALFWorld, "go to the countertop" visits all countertops in turn until the object of the next
  "take" is seen; "go to where the mug may be located" searches the whole room, open surfaces first.
  In ScienceWorld, "move the pot to the sink" is tried in these words first; what is not in sight is
  looked for. What the plan leaves out it does not do; what the world lacks it tries in vain. An
  object that is not where the plan says it looks for on its own, as far as its `patience` goes.
* It **reads plans as a reader of English**. In ScienceWorld it knows that what has an age lives,
  that wires have two ends, and that a thing of a similar name may be meant if the task speaks of
  it; it knows no task type, no recipe, no substance, and not which animal lives longest.
  In WebShop it searches with as much as the plan says (everything, the kind with its features, the
  kind alone), takes the first result, or the one whose title names most features and whose price is
  low enough if the plan speaks of titles and prices, looks closer only if told so, and chooses the
  options that the plan names.
* **At the end of the plan** it believes that the task is done and repeats itself; only where
  something failed, it starts over. In ScienceWorld it waits for a while instead, starts over only
  once, and then says that nothing is left to do, which ends the episode after ten such turns.
* **Without a plan** it understands the task's sentences and goes by itself, with limited
  `patience`, and with probability `forgetfulness` it forgets a part of the task for the whole
  episode: in ALFWorld the cleaning, heating or cooling, the lamp, or the second object; in
  ScienceWorld what the task names last; in WebShop the last option. In ScienceWorld it does what
  the sentences ask for outright (focus on this, move that) and does no experiment that they don't
  spell out; in WebShop it takes the first result.
* It **errs**: with `error_rate` per turn it does something possible but senseless, with
  `format_error_rate` it gives no action, with `skip_rate` it overlooks a step.

So results with it show that the pipeline works: that plan quality is measured, that better plans
are preferred and learned. They do not show that MPO helps language models.
"""

from metaplan.models.follower.model import PlanFollower
from metaplan.models.follower.moves import FollowerSettings

__all__ = ["FollowerSettings", "PlanFollower"]
