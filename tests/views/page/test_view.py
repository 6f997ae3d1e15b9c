from collector.views.page.drawing import ago
from collector.views.page.view import View

ROW = f'<tr id="c-1"><td>{ago(40)}</td>'
ROW += '<td><progress data-cell="share" max="1"></progress><span data-cell="open"></span></td></tr>'
CELLS = {"c-1": {"share": "0.64", "open": "640 <1>"}}


def view(number="1", now=100.0, title="all", tone="good", html=ROW, cells=CELLS, order=("c-1",)):
    return View(number, now, title, tone, {"c-1": html}, cells, order)


def test_ages_and_cells_are_filled_in_as_it_is_shown():
    html = view().whole("c-1")
    assert '<time data-ago="40" datetime="1970-01-01T00:00:40+00:00">1m</time>' in html
    assert '<progress data-cell="share" value="0.64" max="1"></progress>' in html
    assert '<span data-cell="open">640 &lt;1&gt;</span>' in html


def test_a_cell_without_a_text_is_empty():
    assert '<span data-cell="open"></span>' in view(cells={}).whole("c-1")


def test_what_somebody_else_wrote_is_no_cell():
    escaped = "&lt;span data-cell=&#34;open&#34;&gt;&lt;/span&gt;"
    assert view(html=escaped).whole("c-1") == escaped


def test_all_is_sent_to_a_page_that_shows_nothing():
    news = view().since(None)
    assert news == {
        "pieces": {"c-1": ROW},
        "cells": CELLS,
        "order": ("c-1",),
        "title": "all",
        "tone": "good",
        "now": 100,
    }


def test_nothing_is_sent_of_what_is_as_it_was():
    assert view(now=101).since(view()) == {"now": 101}


def test_a_counter_is_sent_without_what_is_around_it():
    cells = {"c-1": {"share": "0.65", "open": "650"}}
    assert view(cells=cells).since(view()) == {"cells": cells, "now": 100}


def test_a_piece_is_sent_with_its_cells_as_they_are_not_in_it():
    news = view(html=ROW.replace("40", "50")).since(view())
    assert (list(news["pieces"]), news["cells"]) == (["c-1"], CELLS)


def test_that_no_row_is_left_is_sent_too():
    assert view(order=()).since(view()) == {"order": (), "now": 100}


def test_a_new_title_is_sent():
    assert view(title="(1) all", tone="bad").since(view()) == {"title": "(1) all", "tone": "bad", "now": 100}
