from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from metaplan.models.local.cache import Arena, common_prefix

PLACES, LONGEST = 2048, 1024


def test_prefix_in_common():
    assert common_prefix([], [1]) == 0
    assert common_prefix([1, 2, 3], [1, 2, 4, 5]) == 2
    assert common_prefix((1, 2), [1, 2, 3]) == 2


def test_a_kept_session_is_given_back_once():
    arena = Arena(PLACES, LONGEST)
    extent = arena.take(10)
    arena.keep(extent, "a")
    assert arena.resume("a") is extent
    assert arena.resume("a") is None


def test_the_longest_unused_session_makes_room():
    arena = Arena(PLACES, LONGEST)
    for name in "abc":
        arena.keep(arena.take(512), name)
    arena.keep(arena.resume("a"), "a")  # used again
    assert arena.take(1000)
    assert arena.resume("a")
    assert arena.resume("b") is None


def test_what_is_in_use_is_never_taken():
    arena = Arena(PLACES, LONGEST)
    first, second = arena.take(1000), arena.take(1000)
    assert first
    assert second
    assert arena.take(1) is None
    arena.free(first)
    assert arena.take(1000).start == first.start


def test_an_opening_is_known_as_long_as_its_extent():
    arena = Arena(PLACES, LONGEST)
    extent = arena.take(1000)
    arena.open(extent, (1, 2, 3))
    arena.keep(extent, None)  # kept although it has no session: others may begin likewise
    assert arena.opened((1, 2, 3)) is extent
    arena.take(1000)
    arena.take(1000)
    assert arena.opened((1, 2, 3)) is None


def test_a_second_extent_of_a_session_replaces_the_first():
    arena = Arena(PLACES, LONGEST)
    first, second = arena.take(1000), arena.take(1000)
    arena.keep(first, "a")
    arena.keep(second, "a")
    assert arena.take(1000).start == first.start
    assert arena.resume("a") is second


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["take", "keep", "keep unnamed", "free", "resume", "open"]),
        st.integers(1, LONGEST),
        st.sampled_from("abcdef"),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_extents_in_use_never_overlap_and_one_always_fits(actions):
    arena = Arena(PLACES, LONGEST)
    used = []
    for action, tokens, name in actions:
        if action == "take":
            extent = arena.take(tokens)
            assert extent or used
            if extent:
                assert extent.size >= tokens
                used.append(extent)
        elif action == "resume":
            extent = arena.resume(name)
            if extent:
                used.append(extent)
        elif used:
            extent = used[tokens % len(used)]
            if action == "open":
                arena.open(extent, (tokens % 3,))
                continue
            used.remove(extent)
            if action == "free":
                arena.free(extent)
            else:
                arena.keep(extent, name if action == "keep" else None)
        ends = sorted((extent.start, extent.start + extent.size) for extent in used)
        assert all(a[1] <= b[0] for a, b in pairwise(ends))
        assert not ends or ends[-1][1] <= PLACES
    for extent in used:
        arena.free(extent)
    assert arena.take(LONGEST)
