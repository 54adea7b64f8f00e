"""A VAE written anew: under other names, out of a checkpoint, out of a pickle, with other numbers.

`plan` decides and touches nothing; `convert` does it. The original stays as it is.
"""

from .planning import DTYPES, Layout, Plan, Step, plan
from .wording import described
from .writing import Converted, convert, free_name

__all__ = ["DTYPES", "Converted", "Layout", "Plan", "Step", "convert", "described", "free_name", "plan"]
