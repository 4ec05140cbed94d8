"""Tables for a terminal."""

from pages import matches_of

from asl_fast.reports import printable, table


def test_table_shows_the_best_and_counts_the_rest():
    assert table(matches_of(["q1", "q2", "q3"], ["r1", "r2", "r3"]), 2).splitlines() == [
        "query  reference   score  ratio  verdict",
        "q1     r1         0.9500  0.500  copy",
        "q2     r2         0.9400  1.500  original",
        "... and 1 more",
    ]


def test_table_of_nothing_is_its_heading():
    assert table(matches_of([], []), 5).splitlines() == ["query  reference  score  ratio  verdict"]


def test_control_characters_of_a_name_never_reach_the_terminal():
    shown = table(matches_of(["\x1b[2Jq\n", "\u202egpj"], ["r\x07", "é 字"]), 5)
    assert "\\x1b[2Jq\\n" in shown and "\\u202egpj" in shown and "r\\x07" in shown and "é 字" in shown
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert len(shown.splitlines()) == 3


def test_printable_text_is_left_as_it_is():
    assert printable("photo 1 (copy)_é字.jpg") == "photo 1 (copy)_é字.jpg"


def test_long_names_are_cut_with_a_mark():
    row = table(matches_of(["q" * 99], ["r"]), 1).splitlines()[1]
    assert row.startswith("q" * 39 + "…  r ")
