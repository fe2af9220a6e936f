"""The workers of a Dask scheduler: who they are, what runs on which, and who was lost."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from locality.cluster.facts import Facts, check_same, introduce
from locality.cluster.held import Failure, guarded
from locality.errors import BadInput, LocalityError, Unreachable

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

_PATIENCE = 10.0  # seconds until a scheduler that says nothing is given up
_LOOK = 0.25  # seconds between two looks at who is still there
_GONE = ("FutureCancelledError", "FuturesCancelledError", "KilledWorker", "CancelledError")  # Dask's, of lost results
_FORMS = "Give tcp://HOST:PORT of a Dask scheduler, or local:N for N processes on this machine."


async def _fetch(client: Client, future: Future[Any]) -> Any:
    return await client.gather(future, asynchronous=True)


class Team:
    """A connection. One thread at a time may use it: those of a server take turns (`locality.cluster.compute`)."""

    def __init__(self, client: Client, address: str, own: LocalCluster | None = None) -> None:
        self.address = address
        self.lost: list[Facts] = []
        self.members: dict[str, Facts] = {}
        self.moved = 0  # bytes of images, noisy images and sums sent, by their sizes
        self._client, self._own, self._looked = client, own, 0.0
        self._greet()

    @staticmethod
    def connect(text: str) -> Team:
        """The workers of `tcp://HOST:PORT`, or of a scheduler of one's own with N single-threaded ones, `local:N`.

        Raises:
            BadInput: another text, no worker, one of another version, or Dask is not installed.
            Unreachable: the scheduler does not answer.
        """
        kind, _, rest = text.partition(":")
        if kind == "local" and (not rest.isdecimal() or int(rest) < 1):
            raise BadInput(f"--cluster {text!r}: {rest or 'no number'} is no number of workers. Give local:1 or more.")
        if kind not in ("local", "tcp", "tls"):
            raise BadInput(f"--cluster {text!r} is no cluster. {_FORMS}")
        try:
            import distributed
        except ImportError:
            raise BadInput('--cluster needs Dask, which is not installed. Run: pip install ".[cluster]"') from None
        logging.getLogger("distributed").setLevel(logging.ERROR)
        if kind == "local":
            quiet = {"dashboard_address": None, "silence_logs": logging.CRITICAL}
            own = distributed.LocalCluster(
                n_workers=int(rest), threads_per_worker=1, host="127.0.0.1", memory_limit=0, **quiet
            )
            try:
                return Team(distributed.Client(own, set_as_default=False), text, own)
            except LocalityError:
                own.close()
                raise
        try:
            client = distributed.Client(text, timeout=_PATIENCE, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise Unreachable(
                f"The scheduler {text} does not answer within {_PATIENCE:.0f} s ({type(error).__name__}). Start it "
                "with `dask scheduler`, and look at the host, the port and the firewall."
            ) from None
        try:
            return Team(client, text)
        except LocalityError:
            client.close()
            raise

    def close(self) -> None:
        """Leave the scheduler; end the workers of one's own."""
        self._client.close()
        if self._own is not None:
            self._own.close()

    def submit(self, worker: str, function: Callable[..., Any], *args: Any, priority: int = 0) -> Future[Any]:
        """Run a function on one worker and on no other."""
        return self._client.submit(
            guarded, function, *args, workers=[worker], allow_other_workers=False, pure=False, priority=priority
        )

    def send(self, worker: str, value: Any) -> Future[Any] | None:
        """A value larger than a message should be, on one worker; None where that is gone."""
        if worker not in self.members:
            return None
        try:
            (found,) = self._client.scatter([value], workers=[worker], hash=False, timeout=_PATIENCE)
        except (OSError, TimeoutError, ValueError, KeyError):  # the last: the scheduler knows no such worker any more
            self.look()
            return None
        return found  # type: ignore[no-any-return]

    def tell(self, function: Callable[..., Any], *args: Any) -> None:
        """Run a function on every worker at once, beside what runs there; what it raises is ignored."""
        self._client.run(function, *args, workers=list(self.members), on_error="ignore")

    def drop(self, futures: Iterable[Future[Any]]) -> None:
        """Give up what runs and let go of what is ready."""
        if self._client.status == "running":  # not a generator's that outlived the connection
            self._client.cancel(list(futures), force=True)

    def wait(self, futures: Collection[Future[Any]]) -> None:
        """Until one has ended, or a quarter of a second; now and then it looks who is still there."""
        import distributed

        with contextlib.suppress(TimeoutError, distributed.CancelledError), self._client.as_current():
            distributed.wait(futures, timeout=_LOOK, return_when="FIRST_COMPLETED")
        if time.monotonic() - self._looked > _LOOK:
            self.look()

    def result(self, future: Future[Any]) -> Any:
        """What a function gave; raises what it raised. None, which none gives, where a worker was lost meanwhile."""
        found = self.outcome(future)
        if isinstance(found, Failure):
            raise found.error()
        return found

    def outcome(self, future: Future[Any]) -> Any:
        """The same with errors meant for the user as values."""
        loop: Any = self._client.loop
        fetched = asyncio.run_coroutine_threadsafe(_fetch(self._client, future), loop.asyncio_loop)
        before = len(self.lost)
        while not fetched.done():
            concurrent.futures.wait([fetched], timeout=_LOOK)
            if not fetched.done():
                self.look()
            if len(self.lost) > before and not fetched.done():  # it may never come
                fetched.cancel()
                return None
        if fetched.cancelled():
            return None
        error = fetched.exception()
        if error is not None and type(error).__name__ in _GONE:
            return None
        return fetched.result()

    def look(self) -> None:
        """See which workers are gone.

        Raises:
            Unreachable: all are, or the scheduler is.
        """
        self._looked = time.monotonic()
        try:
            there = self._client.nthreads()
        except (OSError, TimeoutError) as error:
            raise Unreachable(
                f"The scheduler {self.address} went away ({type(error).__name__}). Start it again, and run the same "
                "command: what is kept is not computed again."
            ) from None
        gone = [address for address in self.members if address not in there]
        self.lost += [self.members.pop(address) for address in gone]
        if not self.members:
            names = ", ".join(map(str, self.lost))
            raise Unreachable(f"All workers of {self.address} are gone: {names}. Start some, and run it again.")

    def _greet(self) -> None:
        """Ask every worker who it is."""
        addresses = list(self._client.nthreads())
        if not addresses:
            raise BadInput(
                f"The scheduler {self.address} has no workers. Start some: dask worker {self.address} --nthreads 1"
            )
        limits = {name: about["memory_limit"] for name, about in self._client.scheduler_info()["workers"].items()}
        found = self._client.run(introduce, workers=addresses, on_error="return")
        for address, told in found.items():
            self.members[address] = check_same(address, told, limits.get(address) or 0)
