"""The ranking: planted differences are found, none is invented, and few pictures decide nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vae_manager.compare.ranking import CONFIDENT, FEWEST, Ranking, Standing, rank
from vae_manager.compare.scores import Score, without_picture


def score_of(distance: float) -> Score:
    return replace(without_picture(), distance=float(distance))


def ranking(columns: Mapping[str, Any]) -> Ranking:
    return rank({vae: {str(at): score_of(one) for at, one in enumerate(column)} for vae, column in columns.items()})


def drawn(generator: np.random.Generator, count: int, effects: Sequence[float], noise: float) -> Ranking:
    """Pictures of different difficulty, which is the same for all VAEs, and noise of each."""
    hard = 5 + 1.5 * generator.standard_normal(count)
    return ranking(
        {f"v{at}": hard + effect + noise * generator.standard_normal(count) for at, effect in enumerate(effects)}
    )


def standings(found: Ranking) -> list[Standing]:
    return [row.standing for row in found.rows]


def test_a_vae_against_itself_is_equal() -> None:
    generator = np.random.default_rng(3)
    for _ in range(100):
        same = 5 + generator.standard_normal(10)
        found = ranking({"one": same, "again": same, "far": same + 2})
        assert standings(found) == [Standing.NEAREST, Standing.EQUAL, Standing.WORSE]
        assert [row.place for row in found.rows] == [1, 1, 3]


@pytest.mark.parametrize("count", [10, 40])
def test_chance_alone_seldom_makes_one_worse(count: int) -> None:
    generator = np.random.default_rng(5)
    false = sum(Standing.WORSE in standings(drawn(generator, count, [0] * 5, 0.5)) for _ in range(200))
    assert false <= 18, "5 % of 200 are 10; 18 are as many as chance gives in one of a hundred runs"


def test_planted_differences_are_found() -> None:
    generator = np.random.default_rng(7)
    right = sum(
        [row.vae for row in found.rows] == ["v0", "v1", "v2"] and set(standings(found)[1:]) == {Standing.WORSE}
        for found in (drawn(generator, 20, [0, 1.5, 3], 0.5) for _ in range(100))
    )
    assert right >= 95


def test_few_pictures_decide_nothing() -> None:
    for count in range(1, FEWEST):
        found = ranking({"a": [1.0] * count, "b": [9.0] * count})
        assert standings(found) == [Standing.NEAREST, Standing.UNCLEAR]
        assert found.rows[1].confidence < CONFIDENT
    assert standings(ranking({"a": [1.0] * FEWEST, "b": [9.0] * FEWEST}))[1] is Standing.WORSE


def test_a_wide_spread_is_left_open() -> None:
    generator = np.random.default_rng(1)
    assert standings(drawn(generator, 8, [0, 0.1], 3))[1] is Standing.UNCLEAR


def test_a_small_difference_that_is_certain_is_equal() -> None:
    hard = np.linspace(2, 8, 30)
    assert standings(ranking({"a": hard, "b": hard + 0.05}))[1] is Standing.EQUAL


def test_rounding_in_one_picture_does_not_hide_the_rest() -> None:
    hard = np.linspace(2, 8, 10)
    rounded = hard + np.array([0.004, *[0] * 9])
    assert standings(ranking({"a": hard, "b": rounded, "c": hard + 1})) == [
        Standing.NEAREST,
        Standing.EQUAL,
        Standing.WORSE,
    ]


def test_only_pictures_that_all_have_count() -> None:
    one = {"a": score_of(1), "b": score_of(2)}
    found = rank({"x": one, "y": {"b": score_of(1), "c": score_of(0)}})
    assert (found.pictures, [row.vae for row in found.rows]) == (1, ["y", "x"])
    assert rank({}).rows == rank({"x": {}}).rows == ()


def test_the_same_scores_give_the_same_ranking() -> None:
    columns = {"a": np.linspace(1, 4, 12), "b": np.linspace(1, 4, 12) + np.sin(np.arange(12))}
    assert ranking(columns) == ranking(columns)
