"""A rule-based agent that follows plans: the embedded default until a trained one is there.

`PlanFollower` stands behind the `ChatModel` contract. It knows nothing but the text of the
conversation: the room listing, the task sentence, the plan's words, observations.

What is built in, so that nobody takes its numbers for more than they are:

* It **obeys plans by construction**. It carries out the steps as they are worded, in their order:
  "go to the countertop" visits all countertops in turn until the object of the next "take" is
  seen; "go to where the mug may be located" searches the whole room, open surfaces first. What the
  plan leaves out it does not do; what the room lacks it tries twice, in vain. When the plan is
  through and the task is not done, it starts over.
* **Without a plan** it understands the task sentence and goes by itself: it searches the room in
  the order of the listing with limited `patience`, and with probability `forgetfulness` it forgets
  the cleaning, heating or cooling, the lamp, or the second object for the whole episode.
* It **slips**: with `error_rate` per turn it does something possible but senseless, with
  `format_error_rate` it gives no action.

So results with it show that the pipeline works: that plan quality is measured, that better plans
are preferred and learned. They do not show that MPO helps language models.
"""

from metaplan.models.follower.model import FollowerSettings, PlanFollower

__all__ = ["FollowerSettings", "PlanFollower"]
