"""How many bytes of uploads every session and all of them together may hold: `QUOTA`, one for the server."""

from __future__ import annotations

import threading
from collections import Counter

from locality.errors import TooLarge
from locality.sharing import Sharing, shared

_OWN = Sharing(each=8 * 10**9, total=8 * 10**9)  # on a server of one's own: no more than a set in memory may take


class Quota:
    """Bytes that sessions hold, so many each and so many in all; threads may share one."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, session: str, count: int) -> None:
        """Count bytes for a session, before they are written.

        Raises:
            TooLarge: more than is left; nothing is counted.
        """
        with self._lock:
            left = self._left(session)
            if count > left:
                raise TooLarge("This upload", count, left, "Remove an earlier upload, or give fewer or smaller images.")
            self._held[session] += count

    def give_back(self, session: str, count: int | None = None) -> None:
        """Bytes that were removed; all of a session without a count."""
        with self._lock:
            self._held[session] -= min(self._held[session], self._held[session] if count is None else count)
            self._held += Counter()  # those that hold nothing are forgotten

    def left(self, session: str) -> int:
        """Bytes a session may still take."""
        with self._lock:
            return self._left(session)

    def _left(self, session: str) -> int:
        sharing = shared() or _OWN
        return max(min(sharing.each - self._held[session], sharing.total - self._held.total()), 0)


QUOTA = Quota()
