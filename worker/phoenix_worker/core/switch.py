"""A stop that outlives whoever raised it, as far as this worker knows: the account's emergency, a symbol's risk halt.

What is shared is lowered by a person alone, who names its epoch, and each change has a later one. So what is told with
an earlier epoch and a lower level has been forgotten there (an empty restart) or has not been heard there yet: what is
known here stays in force, and is raised there again.
"""

import msgspec

from phoenix_worker.core.events import EmergencyLevel


class Switch(msgspec.Struct):
    """`reason` is for people; `epoch` is the one that a resume has to name."""

    level: EmergencyLevel = EmergencyLevel.NONE
    epoch: int = 0
    reason: str = ""

    @property
    def on(self) -> bool:
        return self.level is not EmergencyLevel.NONE

    def raise_to(self, level: EmergencyLevel, reason: str) -> bool:
        """In force here at once, under the epoch that sharing it will make; false where it is no higher."""
        if level <= self.level:
            return False
        self.level, self.epoch, self.reason = level, self.epoch + 1, reason
        return True

    def hear(self, level: EmergencyLevel, epoch: int, reason: str) -> bool:
        """What is shared now; false where that does not know what is in force here, which must be raised again."""
        if level < self.level and epoch < self.epoch:
            self.epoch = epoch + 1
            return False
        self.level, self.epoch, self.reason = level, epoch, reason
        return True

    def recall(self, remembered: "Switch") -> bool:
        """What an earlier leader knew; true where it is higher than what is in force, and must be raised again.

        What it knew of a later resume does not lower what has been told meanwhile.
        """
        if remembered.epoch <= self.epoch or remembered.level < self.level:
            return False
        higher = remembered.level > self.level
        self.level, self.epoch, self.reason = remembered.level, remembered.epoch, remembered.reason
        return higher
