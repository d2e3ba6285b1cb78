"""The toy figures show what they are given, and the slider holds every picture."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from offclip.explorer.page import MODULE
from offclip.losses import info_nce
from offclip.plotting import ABNORMAL, LOWERED, NORMAL, RAISED
from offclip.toys import circle_logits, descend, figures
from offclip.toys.scrubber import Scrubber, scrubber

IS_NORMAL = torch.tensor([True, False])


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def test_points_lie_at_their_angles_in_the_colour_of_their_pair():
    _, ax = plt.subplots()
    figures.circle_plot(ax, torch.tensor([0.0, np.pi / 2]), torch.tensor([np.pi, 0.0]), IS_NORMAL)
    points = [line for line in ax.lines if line.get_marker() in ("o", "s")]
    places = [(*np.round(line.get_xydata()[0], 2).tolist(), line.get_marker()) for line in points]
    assert places == [(1.0, 0.0, "o"), (0.0, 1.0, "o"), (-1.32, 0.0, "s"), (1.32, 0.0, "s")]
    assert [line.get_markerfacecolor() for line in points[:2]] == [NORMAL, ABNORMAL]
    assert [line.get_markeredgecolor() for line in points[2:]] == [NORMAL, ABNORMAL]


def test_a_positive_force_points_counter_clockwise_and_none_draws_no_arrow():
    _, ax = plt.subplots()
    angles, force = torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0])
    figures.circle_plot(ax, angles, angles, IS_NORMAL, on_images=force, arrow=0.5)
    (arrow,) = ax.patches
    ends = arrow._path_original.vertices[[0, -1]]
    np.testing.assert_allclose(np.arctan2(ends[:, 1], ends[:, 0]), [0.0, 0.5], atol=1e-6)
    assert np.hypot(*ends[0]) < figures.IMAGE_RADIUS


def test_cells_carry_their_numbers_and_the_labels_their_colour():
    _, ax = plt.subplots()
    values = torch.tensor([[0.25, -0.001], [-1.0, 0.5]])
    figures.cell_plot(ax, values, IS_NORMAL, title="gradient", signed=True)
    assert [text.get_text() for text in ax.texts] == ["0.25", "0.00", "-1.00", "0.50"]
    assert [to_hex(label.get_color()) for label in ax.get_yticklabels()] == [
        NORMAL.lower(),
        ABNORMAL.lower(),
    ]
    assert ax.collections[0].norm.vmin == -1.0 and ax.collections[0].norm.vmax == 1.0


def test_gradients_have_the_colours_of_the_explorer():
    light = re.search(r"\.explorer \{(.*?)\}", MODULE, re.DOTALL)
    assert light is not None
    assert f"--pull: {RAISED}; --push: {LOWERED};" in light[1]  # pull: descent raises the score
    _, ax = plt.subplots()
    gradient = torch.tensor([[-1.0, 1.0], [1.0, -1.0]])
    figures.cell_plot(ax, gradient, IS_NORMAL, title="gradient", signed=True)
    cells = ax.collections[0]
    cells.update_scalarmappable()
    assert [to_hex(face) for face in cells.get_facecolors()] == [RAISED, LOWERED, LOWERED, RAISED]


def test_stream_lines_follow_the_flow():
    _, ax = plt.subplots()
    gaps = torch.linspace(-1, 1, 9)
    figures.flow_plot(ax, gaps, torch.ones(9, 9), torch.zeros(9, 9), title="to the right")
    segments = np.concatenate([s for s in ax.collections[0].get_segments() if len(s) > 1])
    assert np.degrees(-1) - 1 <= segments[:, 0].min() and segments[:, 0].max() <= 58.3
    heights = [np.ptp(s[:, 1]) for s in ax.collections[0].get_segments()]
    assert max(heights) == pytest.approx(0)


def test_the_slider_holds_every_picture_and_loads_nothing():
    drawn = []

    def draw(frame):
        drawn.append(frame)
        figure, ax = plt.subplots(figsize=(2, 1))
        ax.plot([0, frame])
        return figure

    film = scrubber(draw, [0, 5, 20], message="Points < lines.", note="Drawn here.")
    page = film._repr_html_()
    assert drawn == [0, 5, 20] and not plt.get_fignums()
    assert re.findall(r'data-name="([^"]+)"', page) == ["step 0", "step 5", "step 20"]
    assert page.count("display:block;") == 1 and page.count("display:none;") == 2
    assert 'min="0" max="2" value="0"' in page
    assert "<strong>Points &lt; lines.</strong> Drawn here." in page
    assert set(re.findall(r'src="([^,]+),', page)) == {"data:image/png;base64"}
    assert "http" not in page
    assert repr(film) == "Scrubber of 3 pictures: Points < lines."


def test_each_picture_needs_a_name():
    with pytest.raises(ValueError, match="got 2 pictures and 1 names"):
        Scrubber([b"a", b"b"], ["step 0"], message="", note="")


def test_a_frame_shows_each_descent_at_that_step():
    angles = torch.tensor([0.0, 2.0], dtype=torch.float64)
    path = descend(info_nce, angles, angles + 0.5, logit_scale=3.0, steps=4)
    both = {"first": path, "again": path}
    figure = figures.frame_figure(both, IS_NORMAL, 2, logit_scale=3.0)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[::2] == [f"{name}: {path.loss[2]:.2f} nats" for name in both]
    softmax = circle_logits(path.images[2], path.texts[2], 3.0).softmax(1)
    numbers = [float(text.get_text()) for text in figure.axes[1].texts]
    assert numbers == softmax.numpy().round(2).ravel().tolist()
