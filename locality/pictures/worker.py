"""One of several processes that read images: a job comes in as JSON, shares done and what was met go out."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from locality.errors import LocalityError
from locality.pictures.decode import part_of


def main() -> None:
    """Read the job from stdin and do it."""

    def say(**line: object) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    try:
        facts = part_of(json.load(sys.stdin), lambda share: say(share=share))
    except LocalityError as error:
        say(error=type(error).__name__, text=str(error))
    else:
        say(facts=asdict(facts))


if __name__ == "__main__":
    main()
