"""Entry point: python -m locality COMMAND. One clear line and exit code 2 for bad input."""

from __future__ import annotations

import sys

from locality.cli import app
from locality.errors import LocalityError


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="python -m locality")
    except LocalityError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
