"""A folder is brought to a declared set of VAEs; done once more, nothing changes.

`read_declared` reads what is wanted, `look` what is there, `plan` decides (pure), `bring` does it.
"""

from __future__ import annotations

from .declared import Item, read_declared
from .plan import Plan, Step, plan, worst
from .run import Outcome, bring, look

__all__ = ["Item", "Outcome", "Plan", "Step", "bring", "look", "plan", "read_declared", "worst"]
