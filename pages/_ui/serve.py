"""Start the app: `python -m pages._ui.serve [streamlit options]`, as `make run` does.

A folder named pages/ makes Streamlit start in its legacy mode until the first `st.navigation`, in
which the first visit of a fresh server to a deep link learns that its page does not exist.
`streamlit run app.py` works too, with that one message, and is open to the network; this way the server listens on
this machine alone unless it is given another `--server.address`.
"""

from __future__ import annotations

import sys

from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import main

from locality.calm import wait_calmly
from locality.errors import LocalityError
from locality.places import home
from locality.specs import load_plugins
from pages._ui.document import dress

if __name__ == "__main__":
    wait_calmly()  # torch is loaded with the first page
    try:
        load_plugins()
    except LocalityError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(2)
    PagesManager.uses_pages_directory = False
    dress()
    options = sys.argv[1:]
    if not any(option.startswith("--server.address") for option in options):
        options = ["--server.address", "127.0.0.1", *options]  # a visitor may type paths of this computer
    sys.argv = ["streamlit", "run", str(home() / "app.py"), *options]
    main()
