"""One file over HTTP, resumed where an earlier attempt stopped."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_BLOCK = 1 << 18
_TIMEOUT = 30.0  # seconds without a byte


class Cut(Exception):
    """This mirror cannot go on; what arrived so far is kept."""


class Arrived(NamedTuple):
    """Bytes on disk, and of the whole file where the server reports it."""

    done: int
    total: int | None


def fetch(url: str, part: Path, *, at_most: int, timeout: float = _TIMEOUT) -> Iterator[Arrived]:
    """Write the rest of `url` to `part`, one event per block.

    Asks for the bytes that are missing (Range); where a server ignores or refuses this, all is sent
    and `part` is written anew. The bytes are not verified here.

    Raises:
        Cut: refused, unreachable, cut off, or longer than `at_most` bytes.
    """
    start = part.stat().st_size if part.exists() else 0
    with _open(url, start, timeout) as response:
        resumed, total = _extent(response, start)
        if total is not None and total > at_most:
            raise Cut(f"offers {total:,} bytes, far more than the file has")
        done = start if resumed else 0
        with part.open("ab" if resumed else "wb") as out:
            yield Arrived(done, total)
            while block := _read(response):
                done += len(block)
                if done > at_most:
                    out.truncate(0)
                    raise Cut(f"sends more than {at_most:,} bytes")
                out.write(block)
                yield Arrived(done, total)
    if total is not None and done < total:
        raise Cut(f"the connection ended after {done:,} of {total:,} bytes")


def _open(url: str, start: int, timeout: float) -> http.client.HTTPResponse:
    # "identity": a proxy that compressed on the way would change the bytes and the ranges.
    headers = {"User-Agent": "locality-lab", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=timeout
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return _open(url, 0, timeout)  # more is on disk than the file has: begin again
        raise Cut(f"answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Cut(f"not reachable ({getattr(error, 'reason', error)})") from None
    return response


def _extent(response: http.client.HTTPResponse, start: int) -> tuple[bool, int | None]:
    """Whether the answer continues at `start`, and the size of the whole file if reported."""
    length = response.headers.get("Content-Length", "")
    if response.status != 206:
        return False, int(length) if length.isdecimal() else None
    reported = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if reported is None or int(reported[1]) != start:
        raise Cut("answers with another range than the one asked for")
    return True, int(reported[2]) if reported[2].isdecimal() else None


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise Cut(f"the connection broke ({error or type(error).__name__})") from None
