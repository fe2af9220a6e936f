"""Networks that several threads open at once in a process that has opened none."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import threading
from locality.networks.parts.library import diffusers_class
names, failed = ["UNet2DModel", "DDPMScheduler", "DiTTransformer2DModel", "UNet2DModel"], []
def ask(name):
    try: diffusers_class(name)
    except Exception as error: failed.append(repr(error))
threads = [threading.Thread(target=ask, args=(name,)) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(failed)
"""


def test_threads_that_ask_while_diffusers_is_imported_wait_for_it() -> None:
    """Without the lock one of them finds a module half made."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
