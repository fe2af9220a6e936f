"""How long a benchmark of one's own would take, in words."""

from __future__ import annotations

from locality.studies import Expected
from pages._ui.bench.expected import expected_words


def test_the_longest_is_named_first_and_what_is_not_known_is_said() -> None:
    words = expected_words({"wiener": Expected(0.2, 0.8, None), "els": Expected(1.0, 119.0, 10**6)})
    assert words.startswith("It will take about **2 min** here: els 2 min, wiener 1 s.")
    assert "at least **40 s**" in expected_words({"gaussian_mixture": Expected(40.0, None, None)})
    assert expected_words({}) == "Nothing is left to compute: all of it is kept."
