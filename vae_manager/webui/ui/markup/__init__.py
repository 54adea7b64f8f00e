"""How the page looks: facts in, HTML out. Pure; every name that comes from a file or a server is escaped."""

from .choices import choice_name, dropdown
from .offers import offers
from .parts import answer
from .settings import settings
from .status import status, title

__all__ = ["answer", "choice_name", "dropdown", "offers", "settings", "status", "title"]
