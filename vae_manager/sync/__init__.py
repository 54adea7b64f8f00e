"""A folder is brought to a declared set of VAEs; done once more, nothing changes.

`read_declared` reads what is wanted, `look` what is there, `plan` decides (pure), `bring` does it.
"""

from __future__ import annotations

from .plan import Item, Plan, Step, plan, read_declared, worst
from .run import Outcome, bring, look

__all__ = ["Item", "Outcome", "Plan", "Step", "bring", "look", "plan", "read_declared", "worst"]
