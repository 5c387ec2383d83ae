"""The time and the dice of a seeded driver: a test that plays a hostile peer at random.

Environment: DRIVE_SECONDS is how long each driver goes on (20; with ALL=1, 60), DRIVE_SEED its seed
(a new one each time). The seed is printed, so that pytest shows it beside a failure.
"""

import os
import random
import time


class Drive:
    """What a driver draws from; iterating over it gives each round's number until time is up."""

    def __init__(self):
        usual = 60 if os.environ.get("ALL") else 20
        self.seconds = float(os.environ.get("DRIVE_SECONDS") or usual)
        self.seed = int(os.environ.get("DRIVE_SEED") or random.SystemRandom().randrange(1 << 32))
        self.random = random.Random(self.seed)
        print(f"DRIVE_SEED={self.seed} DRIVE_SECONDS={self.seconds:g}")

    def __iter__(self):
        end = time.monotonic() + self.seconds
        number = 0
        while number == 0 or time.monotonic() < end:
            yield number
            number += 1
        print(f"{number} rounds")
