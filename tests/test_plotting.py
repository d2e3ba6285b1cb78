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


@pytest.mark.parametrize("worst", [0.02, 0.29, 0.6])
def test_class_heatmap_hides_no_value(worst):
    values = pd.DataFrame({"x": [worst, 0.9], "y": [0.7, 1.0]}, index=["a", "b"])
    ax = plotting.class_heatmap(values)
    colours = ax.collections[0].norm
    assert colours.vmin <= worst and colours.vmax == 1.0
    assert ax.texts[0].get_text() == f"{worst:.2f}"


def test_contact_sheet_shows_every_image_and_box():
    images = np.arange(192, dtype=np.uint8).reshape(3, 8, 8)
    box = {"label": "x", "x_min": 1, "y_min": 2, "x_max": 5, "y_max": 6}
    figure = plotting.contact_sheet(images, list("abc"), boxes=[[box], [], [box]], columns=2)
    shown = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in shown] == ["a", "b", "c"]
    assert [np.asarray(ax.images[0].get_array()).tolist() for ax in shown] == images.tolist()
    assert [len(ax.patches) for ax in shown] == [1, 0, 1]
    assert shown[0].patches[0].get_bbox().bounds == (1, 2, 4, 4)


@pytest.mark.parametrize(("count", "titles", "boxes"), [(0, [], None), (2, ["a"], None)])
def test_contact_sheet_wants_one_title_an_image(count, titles, boxes):
    with pytest.raises(ValueError, match=f"got {count} images, {len(titles)} titles"):
        plotting.contact_sheet(np.zeros((count, 8, 8)), titles, boxes=boxes)


def test_contact_sheet_wants_one_list_of_boxes_an_image():
    with pytest.raises(ValueError, match="got 2 images, 2 titles and 1 lists of boxes"):
        plotting.contact_sheet(np.zeros((2, 8, 8)), ["a", "b"], boxes=[[]])


def test_attention_overlay_marks_the_centre_of_the_highest_cell():
    _, ax = plt.subplots()
    attention = np.zeros((2, 4))
    attention[1, 2] = 1.0
    plotting.attention_overlay(ax, np.zeros((8, 8)), attention)
    assert ax.lines[0].get_xydata().tolist() == [[5.0, 6.0]]


def test_score_distribution_labels_both_kinds():
    generator = np.random.default_rng(0)
    is_normal = np.arange(400) < 200
    scores = generator.standard_normal(400) + np.where(is_normal, 9.0, -9.0)
    ax = plotting.score_distribution(scores, is_normal)
    peaks = {text.get_text(): text.xy[0] for text in ax.texts}
    assert peaks == {"normal": pytest.approx(9, abs=1), "abnormal": pytest.approx(-9, abs=1)}
    assert {text.get_text(): text.get_color() for text in ax.texts} == {
        "normal": plotting.NORMAL,
        "abnormal": plotting.ABNORMAL,
    }


def test_score_distribution_needs_two_values_of_each_kind():
    with pytest.raises(ValueError, match="among the abnormal images, got .1.0. from 2 images"):
        plotting.score_distribution(
            np.array([0.0, 2.0, 1.0, 1.0]), np.array([True, True, False, False])
        )


def test_prompt_strip_has_a_dot_for_each_prompt():
    ax = plotting.prompt_strip(pd.DataFrame({"label": ["a", "a", "b"], "value": [0.1, 0.2, 0.9]}))
    dots = np.concatenate([c.get_offsets()[:, 0] for c in ax.collections])
    assert sorted(dots) == [0.1, 0.2, 0.9]


def test_curves_and_bars():
    log = pd.DataFrame({"step": [1, 2], "loss_total": [2.0, 1.0], "normal_auc": [0.5, 0.6]}).assign(
        abnormal_auc_pos=[0.5, 0.7]
    )
    left, right = plotting.training_curves(log).axes
    assert left.lines[0].get_ydata().tolist() == [2.0, 1.0]
    assert {line.get_color(): line.get_ydata().tolist() for line in right.lines} == {
        plotting.NORMAL: [0.5, 0.6],
        plotting.ABNORMAL: [0.5, 0.7],
    }
    ax = plotting.counts_bar(pd.Series({"x": 3, "y": 1}))
    assert [text.get_text() for text in ax.texts] == ["3", "1"]
