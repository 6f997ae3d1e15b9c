"""Figures filled by example, compared with those that plotly draws."""

import evidently.metrics.column_statistics as statistics
import numpy as np
import pandas as pd
import pytest
from evidently.legacy.metric_results import Distribution, HistogramData
from evidently.legacy.options import ColorOptions
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.evaluation import snapshot
from collector.evaluation.fast import figures
from collector.evaluation.fast.known import standing_in

NUMBERS = st.floats() | st.sampled_from([0.0, -0.0, 1e308, 5e-324, 1e15])
LABELS = st.text(max_size=5) | st.integers() | st.floats() | st.none() | st.booleans()
COUNTS = st.integers(min_value=0, max_value=2**53)
of_many = settings(max_examples=30, deadline=None)
WORDS = {"xaxis_name": "", "yaxis_name": "Count", "yaxis_name_perc": "Percent", "same_color": False}


@st.composite
def histograms(draw):
    length = draw(st.integers(0, 6))
    x = draw(st.lists(NUMBERS, min_size=length, max_size=length) | st.lists(LABELS, min_size=length, max_size=length))
    counts = draw(st.lists(COUNTS, min_size=length, max_size=length))
    return HistogramData(x=pd.Series(x), count=pd.Series(counts))


def draw_histogram(current, reference=None, **words):
    words = WORDS | {"color_options": ColorOptions(), "subplots": False, "to_json": False} | words
    return statistics.plot_distr_with_perc_button(hist_curr=current, hist_ref=reference, **words)


def draw_means(means, line, std, title, **words):
    words = {"ref_data": None, "xaxis_name": "Index binned", "xaxis_name_ref": None, "return_json": False} | words
    return statistics.plot_agg_line_data(
        curr_data={"current (mean)": means},
        line=line,
        std=std,
        yaxis_name=title,
        color_options=ColorOptions(),
        line_name="reference (mean)",
        **words,
    )


def text_of(draw, *args, **words):
    return snapshot.encode(draw(*args, **words).to_plotly_json())


@of_many
@given(current=histograms(), reference=st.none() | histograms())
@pytest.mark.filterwarnings("ignore")
def test_a_distribution_is_plotlys_to_the_letter(current, reference):
    direct = text_of(draw_histogram, current, reference)
    with standing_in(figures.SHORTCUTS, []):
        assert text_of(draw_histogram, current, reference) == direct
        assert text_of(draw_histogram, current, reference) == direct


@of_many
@given(
    values=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6),
    line=NUMBERS,
    std=NUMBERS,
    title=st.text(max_size=8),
    are_times=st.booleans(),
)
@pytest.mark.filterwarnings("ignore")
def test_means_over_time_are_plotlys_to_the_letter(values, line, std, title, are_times):
    times = pd.date_range("2026-03-01", periods=len(values), freq="h").to_series().reset_index(drop=True)
    per = times if are_times else pd.Series(range(len(values)))
    mean, spread = zip(*values, strict=True)
    frame = pd.DataFrame({"per": per, "mean": mean, "std": spread})
    args = (frame, np.float64(line), np.float64(std), f"{title} (mean +/- std)")
    direct = text_of(draw_means, *args)
    with standing_in(figures.SHORTCUTS, []):
        assert text_of(draw_means, *args) == direct
        assert text_of(draw_means, *args) == direct


def test_the_second_of_a_kind_is_not_drawn_by_plotly():
    drawn = []
    by_example = figures.ByExample(figures._of_histograms)  # noqa: SLF001
    draw = by_example(lambda **words: drawn.append(1) or statistics.plot_distr_with_perc_button(**words))
    for count in (1, 2, 3):
        side = HistogramData(x=pd.Series([0.5]), count=pd.Series([count]))
        draw(hist_curr=side, hist_ref=None, color_options=ColorOptions(), subplots=False, to_json=False)
    assert drawn == [1]


@pytest.mark.parametrize("words", [{"to_json": True}, {"same_color": True}, {"xaxis_name": "x"}, {"subplots": True}])
def test_other_words_make_another_kind(words):
    sides = [HistogramData(x=pd.Series([0.5, 1.5]), count=pd.Series([count, 1])) for count in (1, 2)]
    read = (lambda figure: figure) if words.get("to_json") else (lambda figure: figure.to_plotly_json())
    direct = snapshot.encode({"it": read(draw_histogram(*sides, **words))})
    with standing_in(figures.SHORTCUTS, []):
        draw_histogram(*sides)
        for _ in range(2):
            assert snapshot.encode({"it": read(draw_histogram(*sides, **words))}) == direct


def test_an_example_that_does_not_give_plotlys_own_is_of_no_use(monkeypatch):
    """As with a plotly that writes arrays in another way."""
    by_example = figures.ByExample(figures._of_histograms)  # noqa: SLF001
    monkeypatch.setattr(figures, "_coerced", list)
    side = HistogramData(x=pd.Series([0.5]), count=pd.Series([2]))
    draw = by_example(statistics.plot_distr_with_perc_button)
    words = {"hist_curr": side, "hist_ref": None, "color_options": ColorOptions(), "subplots": False, "to_json": False}
    for _ in range(2):
        assert type(draw(**words)).__name__ == "Figure"


def test_what_is_kept_of_examples_is_bounded(monkeypatch):
    monkeypatch.setattr(figures, "_MAX_EXAMPLES", 2)
    by_example = figures.ByExample(figures._of_histograms)  # noqa: SLF001
    draw = by_example(statistics.plot_distr_with_perc_button)
    side = HistogramData(x=pd.Series([0.5]), count=pd.Series([2]))
    for name in "abcde":
        draw(hist_curr=side, color_options=ColorOptions(), to_json=False, xaxis_name=name)
        assert len(by_example._examples) <= 2  # noqa: SLF001


@pytest.mark.filterwarnings("ignore")
def test_a_figure_that_a_report_shows_twice_is_filled_once():
    distribution = Distribution(x=[1, 2, 3], y=[4, 5])
    others = Distribution(x=[1, 2, 3], y=[7, 5])
    direct = HistogramData.from_distribution(distribution, "name")
    with standing_in(figures.SHORTCUTS, []):
        assert HistogramData.from_distribution(None) is None
        assert repr(HistogramData.from_distribution(distribution, "name")) == repr(direct)
        series = HistogramData.from_distribution(distribution)
        assert HistogramData.from_distribution(distribution) is series
        draw_histogram(series)  # by plotly, if it is the first of its kind
        drawn = draw_histogram(series)
        assert draw_histogram(series) is drawn
        for other in (draw_histogram(HistogramData.from_distribution(others)), draw_histogram(series, yaxis_name="n")):
            assert other is not drawn
    with standing_in(figures.SHORTCUTS, []):
        assert draw_histogram(series) is not drawn
