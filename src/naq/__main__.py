"""``python -m naq``: the same as ``naq``."""

import sys

from naq.cli import main

if __name__ == "__main__":
    sys.exit(main())
