"""Shared mode: when it is on, quotas of uploads, turns of sessions in a lane, what pages refuse."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from locality.errors import BadInput, TooLarge
from locality.sharing import Sharing, share, shared
from locality.work import Progress
from pages._ui import lane, line
from pages._ui.quota import Quota
from pages._ui.serve import address_of
from pages._ui.shared import begin, described
from pages._ui.train.plan import Plan
from pages._ui.train.runs import Runs
from pages._ui.work import Work, Works
from tests.app.opened import open_page


@pytest.fixture
def sharing() -> Iterator[Sharing]:
    """A server that is shared and allows nothing more."""
    share(Sharing())
    yield Sharing()
    share(None)


@pytest.mark.parametrize(
    ("address", "open_to_others"),
    [
        ("127.0.0.1", False), ("127.9.9.9", False), ("localhost", False), ("::1", False),
        ("0.0.0.0", True), ("::", True), (None, True), ("", True), ("192.168.0.7", True), ("lab.example.org", True),
    ],
)  # fmt: skip
def test_shared_where_others_may_reach_it(
    address: str | None, open_to_others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOCALITY_SHARED", raising=False)
    try:
        assert (begin(address) is not None) == open_to_others == (shared() is not None)
        monkeypatch.setenv("LOCALITY_SHARED", "1")
        assert begin(address) is not None, "behind a proxy"
    finally:
        share(None)


def test_the_last_address_counts() -> None:
    assert address_of([]) is None
    assert address_of(["--server.port", "1"]) is None
    assert address_of(["--server.address", "0.0.0.0", "--server.address=127.0.0.1"]) == "127.0.0.1"
    assert address_of(["--server.address=127.0.0.1", "--server.address", "::"]) == "::"


def test_quotas_per_session_and_in_all() -> None:
    share(Sharing(each=100, total=150))
    try:
        quota = Quota()
        quota.take("a", 60)
        with pytest.raises(TooLarge, match="needs 50 bytes; the budget is 40 bytes"):
            quota.take("a", 50)
        assert (quota.left("a"), quota.left("b")) == (40, 90)
        quota.take("b", 90)
        assert quota.left("a") == 0 == quota.left("c")
        quota.give_back("b")
        quota.give_back("a", 10**9)  # never more than was taken
        assert quota.left("a") == 100
    finally:
        share(None)


class Told:
    """Jobs of sessions that note when they work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, turn: float) -> None:
        self.notes: list[str] = []
        self.asking = "a"
        monkeypatch.setattr(line, "session", lambda: self.asking)
        monkeypatch.setattr(lane, "_TURN", turn)
        self.works = Works()

    def ask(self, session: str, name: str, steps: int, lane: str = "short") -> Work:
        def make() -> Generator[Progress, None, None]:
            for i in range(steps):
                self.notes.append(name)
                time.sleep(0.01)
                yield Progress(i, steps, name)

        self.asking = session
        return self.works.ask(Work(name, make, lane))


def test_sessions_take_turns_and_one_with_many_jobs_does_not_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(monkeypatch, 0.05)
    first = told.ask("a", "a1", 100)
    more = [told.ask("a", f"a{i}", 3) for i in (2, 3)]
    other = told.ask("b", "b1", 3)
    assert told.works.before(other) == 1, "before the further jobs of the first session"
    assert other.ended.wait(20)
    assert not first.ended.is_set(), "the long one goes on afterwards"
    assert not any(work.ended.is_set() for work in more)
    assert all(work.ended.wait(20) for work in (first, *more))
    assert [name for name in told.notes if name[0] == "a"] == ["a1"] * 100 + ["a2"] * 3 + ["a3"] * 3
    assert not any(work.error or work.cancelled for work in (first, other, *more))


def test_a_job_that_waits_for_its_turn_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(monkeypatch, 0.02)
    first = told.ask("a", "a1", 10_000)
    other = told.ask("b", "b1", 10_000)
    for work in (first, other):
        work.stop.set()
        assert work.ended.wait(10)
        assert work.cancelled
    third = told.ask("a", "a3", 1)
    assert third.ended.wait(10), "the lane is free again"


def test_long_studies_are_off_and_requests_of_a_session_are_counted(
    monkeypatch: pytest.MonkeyPatch, sharing: Sharing
) -> None:
    told = Told(monkeypatch, 60.0)
    refused = told.ask("a", "study", 1, "long")
    assert refused.ended.is_set()
    assert "LOCALITY_ALLOW=bench" in refused.error
    assert told.works.find("study") is refused, "the page finds why"
    served = [told.ask("a", f"a{i}", 200) for i in range(5)]
    assert [bool(work.error) for work in served] == [False] * 4 + [True]
    assert not told.ask("b", "b1", 1).error
    for work in served:
        work.stop.set()
        told.works.leave(work)


def test_only_who_asked_may_end_it(monkeypatch: pytest.MonkeyPatch, sharing: Sharing) -> None:
    told = Told(monkeypatch, 60.0)
    work = told.ask("a", "both", 10_000)
    assert told.ask("b", "both", 1) is work
    told.asking = "c"
    assert not told.works.may_end(work)
    told.asking = "a"
    assert told.works.may_end(work)
    assert not told.works.give_up(work), "b still wants it"
    told.asking = "b"
    assert told.works.give_up(work)
    work.stop.set()
    assert work.ended.wait(10)


def test_trainings_are_off(sharing: Sharing) -> None:
    plan = Plan("mine", "digits", "mlp", {}, 64)
    for start in (Runs().start, Runs().resume):
        with pytest.raises(BadInput, match="trainings are off"):
            start(plan)
    assert not plan.folder.exists()


def test_what_is_allowed_is_said(tmp_path: Path) -> None:
    share(Sharing((tmp_path,), frozenset({"bench"}), 10**6, 10**7))
    try:
        text = " ".join(described(Sharing((tmp_path,), frozenset({"bench"}), 10**6, 10**7)))
        assert "On: benchmarks and other long studies." in text
        assert "Off: trainings, downloads of datasets." in text
        assert f"`{tmp_path.name}`" in text
        assert str(tmp_path) not in text, "where it lies is nobody's business"
        assert "1 MB per session, 10 MB in all" in text
    finally:
        share(None)


PATHS = {
    "a folder of images": {"dataset": "folder", "folder_path": "{closed}"},
    "a dataset as commands write it": {"dataset": "folder:path={closed}"},
    "an edit that mixes a folder in": {"dataset": "digits", "edit": "mix:dataset=(folder:path={closed})"},
    "a picture as a mask": {"dataset": "digits", "edit": "pattern:mask={closed}/a.png"},
}


@pytest.mark.parametrize("query", PATHS.values(), ids=PATHS.keys())
def test_a_link_that_names_a_path_is_refused(query: dict[str, str], tmp_path: Path, sharing: Sharing) -> None:
    found = _page(tmp_path, query)
    assert any("this server is shared" in text for text in found), found
    assert any(label == "This server is shared" for label in found)


def test_a_checkpoint_of_a_link_is_refused(tmp_path: Path, sharing: Sharing) -> None:
    found = _page(tmp_path, {"dataset": "digits", "networks": f"{tmp_path}/net.pt"}, "explore/04_Architectures.py")
    assert any("this server is shared" in text and "net.pt" in text for text in found), found


def _page(tmp_path: Path, query: dict[str, str], page: str = "") -> list[Any]:
    """What a page says of a link: its errors, warnings, titles of boxes."""
    st.cache_resource.clear()
    app = open_page(**{name: value.format(closed=tmp_path) for name, value in query.items()})
    if page:
        app.switch_page(f"pages/{page}").run()
    assert not app.exception, app.exception[0].value
    return [one.value for one in (*app.error, *app.warning)] + [box.label for box in app.expander]


def test_a_job_runs_in_the_thread_of_its_lane() -> None:
    """Who gives way is known by its thread: outside of one it does nothing."""
    works = Works()
    lane = works._lane(Work("x", lambda: iter(()), "short"))  # type: ignore[arg-type, return-value]
    lane.set()
    began = time.monotonic()
    lane.give_way()
    assert time.monotonic() - began < 1
    assert threading.active_count() >= 1
