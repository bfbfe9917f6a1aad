"""``naq openapi``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from naq.cli.parameter import Parameter


def openapi(*, output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None) -> None:
    """Print the OpenAPI document of the server's API; clients are generated from it.

    Example: naq openapi -o openapi.json

    Args:
        output: The file to write it to. Default: stdout.
    """
    from naq.config import Config
    from naq.config.server import ServerConfig
    from naq.exceptions import ConfigurationError

    try:
        from naq.server.api.app import make_app
        from naq.server.api.document import text
    except ImportError as error:
        raise ConfigurationError(f'the server needs its libraries: pip install "naq[server]" ({error})') from error
    written = text(make_app(Config(broker_url="memory:"), ServerConfig()))
    if output is None:
        sys.stdout.write(written)
    else:
        output.write_text(written, encoding="utf-8")
