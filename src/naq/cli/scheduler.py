"""``naq scheduler``."""

from __future__ import annotations

from typing import Annotated

from naq.cli.logs import Format
from naq.cli.parameter import Parameter


def scheduler(
    app: str | None = None,
    /,
    *,
    broker_url: str | None = None,
    namespace: str | None = None,
    poll_interval: str = "10s",
    instance_id: str | None = None,
    ha: Annotated[bool, Parameter(name="--ha", negative="--no-ha")] = True,
    log_level: str = "info",
    log_format: Format | None = None,
) -> int:
    """Keep schedules going, until it is told to stop. Workers do this by themselves; this is for doing it apart.

    Several may run: one leads, and another follows within 20 s when it dies, while nothing is late.

    Example: naq scheduler tasks:app

    Args:
        app: Bring the schedules that this app declares in line first, and take its settings.
        broker_url: The broker, such as nats://127.0.0.1:4222. Default: the app's setting.
        namespace: The namespace of the jobs, where no app is given.
        poll_interval: The longest time between two looks at all schedules, 1s to 20s.
        instance_id: Who it is, among schedulers. Default: the host's name and some digits.
        ha: Act only while no other leads.
        log_level: debug, info, warning or error.
        log_format: text or json. Default: text on a terminal, else json.
    """
    import asyncio
    import os
    import signal

    from naq.cli.common import refuse_memory
    from naq.cli.logs import set_up
    from naq.cli.values import read_duration
    from naq.functional.scheduler import Scheduler
    from naq.worker.loader import load_app

    set_up(log_level, log_format)
    for setting, value in (("NAQ_BROKER_URL", broker_url), ("NAQ_NAMESPACE", namespace)):
        if value is not None:
            os.environ[setting] = value  # read by the app that is about to be imported
    one = Scheduler(
        poll_interval=read_duration("--poll-interval", poll_interval) or 0.0,
        instance_id=instance_id,
        enable_ha=ha,
        app=None if app is None else load_app(app),
    )

    refuse_memory(one.config)

    async def main() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, one.stop)
        await one.run()

    asyncio.run(main())
    return 0
