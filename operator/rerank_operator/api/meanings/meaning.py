"""What a reason says."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason says: when it appears, and what a person can do about it (empty when nothing is wrong)."""

    when: str
    remedy: str = ""
