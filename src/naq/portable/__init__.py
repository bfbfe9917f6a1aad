"""Jobs away from any backend: what one carries, run here or turned into bytes."""

from naq.portable.carried import Carried
from naq.portable.form import PortableJob, unpack

__all__ = ["Carried", "PortableJob", "unpack"]
