"""What one worker of the fleet does for all: overdue timers, the audit, the rescue, `dead_ttl` (RELIABILITY.md 5.4).

Every act is guarded by compare-and-set or has a deterministic effect, so two leaders at once do no harm.
"""

from __future__ import annotations

from naq import clock
from naq.backends.base import Maintained
from naq.backends.nats import topology
from naq.backends.nats.registry import Registry
from naq.backends.nats.upkeep.audit import Audit
from naq.backends.nats.upkeep.overdue import Overdue
from naq.backends.nats.upkeep.rescue import Rescue

AUDIT_EVERY = 60.0  # seconds; the repaired should be 0 for ever, so once a minute is plenty


class Upkeep(Registry):
    """`JobQueue.maintain`."""

    def on_linked(self) -> None:
        """What upkeep remembers between two rounds."""
        super().on_linked()
        self._overdue = Overdue(self)
        self._audit = Audit(self)
        self._rescue = Rescue(self)
        self._audited_at = -AUDIT_EVERY

    async def maintain(self, *, limit: int = 1000) -> Maintained:
        """One round; see `JobQueue.maintain`."""
        self.must_be_open()
        repaired = 0
        if clock.monotonic() - self._audited_at >= AUDIT_EVERY:
            await topology.apply_ttls(self.js, self.config, self.subjects)
            repaired = await self._audit.round(limit)
            self._audited_at = clock.monotonic()
        return Maintained(
            overdue=await self._overdue.round(limit), repaired=repaired, rescued=await self._rescue.round()
        )


__all__ = ["Upkeep"]
