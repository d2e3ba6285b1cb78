"""Figures show the values they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from offclip import plotting


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def table():
    return pd.DataFrame(
        {"label": ["a", "b"], "value": [0.2, 0.8], "low": [0.1, None], "high": [0.3, None]}
    )


def test_interval_plot_puts_dots_top_down_and_labels_them():
    ax = plotting.interval_plot(table(), reference=0.5)
    assert ax.lines[0].get_xdata().tolist() == [0.2, 0.8]
    assert ax.lines[0].get_ydata().tolist() == [1, 0]
    assert [text.get_text() for text in ax.texts] == ["0.20", "0.80"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_contact_sheet_shows_every_image_and_box():
    images = np.zeros((3, 8, 8), dtype=np.uint8)
    box = {"label": "x", "x_min": 1, "y_min": 2, "x_max": 5, "y_max": 6}
    figure = plotting.contact_sheet(images, list("abc"), boxes=[[box], [], [box]], columns=2)
    shown = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in shown] == ["a", "b", "c"]
    assert [len(ax.patches) for ax in shown] == [1, 0, 1]
    assert shown[0].patches[0].get_bbox().bounds == (1, 2, 4, 4)


def test_attention_overlay_marks_the_centre_of_the_highest_cell():
    _, ax = plt.subplots()
    attention = np.zeros((2, 4))
    attention[1, 2] = 1.0
    plotting.attention_overlay(ax, np.zeros((8, 8)), attention)
    assert ax.lines[0].get_xydata().tolist() == [[5.0, 6.0]]


def test_score_distribution_labels_both_kinds():
    generator = np.random.default_rng(0)
    scores, is_normal = generator.standard_normal(40), np.arange(40) < 20
    ax = plotting.score_distribution(scores, is_normal)
    assert {text.get_text() for text in ax.texts} == {"normal", "abnormal"}


def test_prompt_strip_has_a_dot_for_each_prompt():
    ax = plotting.prompt_strip(pd.DataFrame({"label": ["a", "a", "b"], "value": [0.1, 0.2, 0.9]}))
    dots = np.concatenate([c.get_offsets()[:, 0] for c in ax.collections])
    assert sorted(dots) == [0.1, 0.2, 0.9]


def test_curves_and_bars():
    log = pd.DataFrame({"step": [1, 2], "loss_total": [2.0, 1.0], "normal_auc": [0.5, 0.6]}).assign(
        abnormal_auc_pos=[0.5, 0.7]
    )
    left, right = plotting.training_curves(log).axes
    assert left.lines[0].get_ydata().tolist() == [2.0, 1.0] and len(right.lines) == 2
    ax = plotting.counts_bar(pd.Series({"x": 3, "y": 1}))
    assert [text.get_text() for text in ax.texts] == ["3", "1"]
