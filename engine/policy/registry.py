"""Names own slots: a campaign is known by name, and its slot is free again when nothing refers to it."""

from dataclasses import dataclass, field

from engine.records import CAMPAIGNS_MAX


@dataclass
class Registry:
    """Slots by campaign name."""

    slots: dict[str, int] = field(default_factory=dict)

    def claim(self, name: str) -> int:
        """The slot of a name; the lowest free one if the name is new. Raises OverflowError when all are taken."""
        if name not in self.slots:
            taken = set(self.slots.values())
            free = next((slot for slot in range(CAMPAIGNS_MAX) if slot not in taken), None)
            if free is None:
                sentence = f"campaigns must be at most {CAMPAIGNS_MAX} at a time (no slot is free for {name!r})"
                raise OverflowError(sentence)
            self.slots[name] = free
        return self.slots[name]

    def release(self, name: str) -> None:
        """Give a name's slot back, once no customer remembers the campaign."""
        del self.slots[name]

    def __len__(self) -> int:
        """Slots that arrays must have."""
        return max(self.slots.values(), default=-1) + 1
