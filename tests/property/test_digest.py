"""Addresses: the order of keys never matters, the content always does."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from locality.store import digest

_plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_values = st.recursive(
    _plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
_keys = st.dictionaries(st.text(), _values, max_size=5)


def _reordered(value: Any, random: Any) -> Any:
    if isinstance(value, dict):
        names = list(value)
        random.shuffle(names)
        return {name: _reordered(value[name], random) for name in names}
    return [_reordered(item, random) for item in value] if isinstance(value, list) else value


@given(_keys, st.randoms(use_true_random=False))
def test_order_of_keys_never_matters(key: dict[str, Any], random: Any) -> None:
    assert digest("k", key) == digest("k", _reordered(key, random))


@given(_keys)
def test_a_key_read_back_from_its_manifest_is_the_same_key(key: dict[str, Any]) -> None:
    assert digest("k", key) == digest("k", json.loads(json.dumps(key)))


@given(_keys, st.text(), _plain)
def test_any_added_or_changed_value_is_another_address(key: dict[str, Any], name: str, value: Any) -> None:
    changed = {**key, name: value}
    same = json.dumps(changed, sort_keys=True) == json.dumps(key, sort_keys=True)
    assert (digest("k", changed) == digest("k", key)) == same
