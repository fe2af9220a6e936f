"""Entry point: python -m locality COMMAND. One clear line and exit code 2 for bad input."""

from __future__ import annotations

import sys

import typer

from locality.calm import wait_calmly
from locality.cli import app
from locality.errors import LocalityError
from locality.heap import keep_freed
from locality.specs import allow_files, blame, load_plugins

USAGE = 2
PROGRAM = "python -m locality"


def main() -> None:
    """Run the command line; without arguments, its help."""
    wait_calmly()  # commands load torch when they run
    keep_freed(one_heap=True)
    allow_files()  # whoever types a command may run code
    try:
        load_plugins()
        code = app(sys.argv[1:] or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except LocalityError as error:
        fail(str(error))
    except typer.TyperException as error:  # a wrong option: Typer's own report takes five lines
        shown = getattr(error, "format_message", error.__str__)()
        fail(f"{shown} Options: {PROGRAM} COMMAND --help.")
    except typer.Abort:
        fail("Stopped.")
    except OSError as error:  # a file of the user's that cannot be read or written
        fail(f"{error}.")
    except Exception as error:  # a bug, which must be seen whole, unless it lies in a file of the user's
        if not (what := blame(error)):
            raise
        fail(what)
    sys.exit(code if isinstance(code, int) else 0)


def fail(message: str) -> None:
    """Say what went wrong in one line and leave."""
    print(f"Error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(USAGE)


if __name__ == "__main__":
    main()
