"""Names of people are short, random, lasting and never shared."""

import random

from mesh_perception.ros.ids import REMEMBERED, PersonNames


def test_a_person_keeps_the_name():
    names = PersonNames()
    first = names([4, 9])
    assert names([9, 4, 5])[:2] == first[::-1]
    assert all(len(name) == 5 and name.isascii() and name.isalpha() and name.islower() for name in first)


def test_no_two_people_share_a_name():
    class Repeats(random.Random):
        def choices(self, letters, k):  # every draw comes twice
            self.drawn = getattr(self, 'drawn', -1) + 1
            return f'{self.drawn // 2:05d}'

    assert PersonNames(Repeats())([1, 2, 3]) == ['00000', '00001', '00002']


def test_restarts_do_not_meet():
    assert PersonNames()(range(10)) != PersonNames()(range(10))


def test_clear_gives_new_names():
    names = PersonNames(random.Random(0))
    before = names([1])
    names.clear()
    assert names([1]) != before


def test_memory_is_bounded_and_forgets_the_longest_unseen():
    names = PersonNames()
    kept = names([0])
    for track in range(1, REMEMBERED + 50):
        names([track])
        assert names([0]) == kept
    assert len(names._names) == REMEMBERED
