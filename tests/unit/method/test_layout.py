from random import Random

from shared.method.layout import SHELF, Layout


def test_places_are_those_of_all_records_and_final_ones_stay() -> None:
    random, layout, lengths = Random(1), Layout(), list[int]()
    final: list[int] = []
    for count in [1, 63, 900, 59, 1, 1024, 5000, 500]:
        new = [random.randrange(30) for _ in range(count)]
        lengths += new
        if count == 1:
            layout.append(new[0])
        else:
            layout.extend(new)
        assert layout.lengths.tolist() == lengths
        assert [layout.records[place] for place in layout.places.tolist()] == list(range(len(lengths)))
        assert layout.places[: len(final)].tolist() == final
        final = layout.places[: layout.final].tolist()
        assert layout.final == len(lengths) // SHELF * SHELF
        by_place = [lengths[record] for record in layout.records.tolist()]
        assert layout.shortest.tolist() == [min(by_place[n : n + 64]) for n in range(0, len(lengths), 64)]


def test_a_shelf_is_in_order_of_length_and_equals_as_they_came() -> None:
    layout = Layout()
    layout.extend([3, 1, 2] * 400)
    shelf = layout.records[:SHELF].tolist()
    assert shelf == sorted(range(SHELF), key=lambda record: [3, 1, 2][record % 3])
    assert layout.records[SHELF:].tolist() == list(range(SHELF, 1200))


def test_the_first_records_have_their_places_in_the_first_words() -> None:
    layout = Layout()
    layout.extend([1] * 2500)
    assert [layout.words(count) for count in (0, 1, 1024, 1025, 2048, 2049, 2500)] == [0, 16, 16, 32, 32, 33, 40]
