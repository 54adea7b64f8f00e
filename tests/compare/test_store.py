"""What is remembered of comparisons is bounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vae_manager.compare import Comparison, Comparisons, Decoded, Result, State


def result(vae: str, side: int = 10) -> Result:
    return Result(Decoded(vae, np.zeros((side, side, 3), np.uint8), 0.1))


def test_the_oldest_goes_and_what_runs_stays() -> None:
    store = Comparisons(most=2, most_bytes=10**6)
    running = Comparison(store.new_id(), "a", ["x"], state=State.RUNNING)
    done = [Comparison(store.new_id(), "b", ["x"], state=State.DONE) for _ in range(3)]
    store.put(running)
    for one in done:
        store.put(one)
    assert store.get(running.id) is running
    assert [store.get(one.id) for one in done] == [None, None, done[2]]
    assert store.all() == (done[2], running)


def test_bytes_over_many_comparisons() -> None:
    store = Comparisons(most=6, most_bytes=2000)
    for _ in range(200):
        comparison = Comparison(store.new_id(), "a", ["x", "y"], state=State.RUNNING)
        for vae in "xy":
            comparison = comparison.with_result(result(vae))
            store.put(comparison)
        store.put(replace(comparison, state=State.DONE))
        assert store.nbytes <= 2000


def test_a_result_takes_the_place_of_the_one_before() -> None:
    comparison = Comparison("1", "a", ["x", "y"]).with_result(result("x")).with_result(result("y"))
    again = result("x", 20)
    comparison = comparison.with_result(again)
    assert [one.decoded.vae for one in comparison.results] == ["x", "y"]
    assert comparison.of("x") is again
    assert comparison.nbytes == 20 * 20 * 3 + 300
