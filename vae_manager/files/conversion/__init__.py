"""A VAE written anew: under other names, out of a checkpoint, out of a pickle, with other numbers.

`plan` decides and touches nothing; `convert` does it. The original stays as it is.
"""

from .planning import DTYPES, Layout, Plan, Step, described, plan
from .twins import find_twin
from .writing import SOURCE, Converted, convert, free_name

__all__ = [
    "DTYPES",
    "SOURCE",
    "Converted",
    "Layout",
    "Plan",
    "Step",
    "convert",
    "described",
    "find_twin",
    "free_name",
    "plan",
]
