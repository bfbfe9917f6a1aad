"""What goes wrong, said in one form everywhere (RFC 9457): one catalogue of codes, which is a page of the docs too."""

from naq.server.problems.catalogue import CATALOGUE, Kind
from naq.server.problems.problem import Problem, wrong

__all__ = ["CATALOGUE", "Kind", "Problem", "wrong"]
