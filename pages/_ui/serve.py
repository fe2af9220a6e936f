"""Start the app: `python -m pages._ui.serve [streamlit options]`, as `make run` does.

A folder named pages/ makes Streamlit start in its legacy mode until the first `st.navigation`, in
which the first visit of a fresh server to a deep link learns that its page does not exist.
`streamlit run app.py` works too, with that one message, and is open to the network; this way the server listens on
this machine alone unless it is given another `--server.address`. A server that others can reach is in shared mode.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import main

from locality.calm import wait_calmly
from locality.cluster.here import join
from locality.errors import LocalityError
from locality.heap import keep_freed
from locality.places import home
from locality.specs import load_plugins
from pages._ui.document import dress
from pages._ui.shared import begin, described

_ADDRESS = "--server.address"


def address_of(options: Sequence[str]) -> str | None:
    """The address that Streamlit's options give, the last one; None for none."""
    found = None
    for option, following in zip(options, [*options, ""][1:], strict=True):
        if option == _ADDRESS:
            found = following
        elif option.startswith(f"{_ADDRESS}="):
            found = option.partition("=")[2]
    return found


if __name__ == "__main__":
    wait_calmly()  # torch is loaded with the first page
    keep_freed()
    options = sys.argv[1:]
    if address_of(options) is None:
        options = [_ADDRESS, "127.0.0.1", *options]
    try:
        load_plugins()
        sharing = begin(address_of(options))
        join()
    except LocalityError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(2)
    if sharing is not None:
        sys.stderr.write("Shared mode, since others may reach this server:\n")
        sys.stderr.write("".join(f"  {sentence}\n" for sentence in described(sharing)))
    PagesManager.uses_pages_directory = False
    dress()
    sys.argv = ["streamlit", "run", str(home() / "app.py"), *options]
    main()
