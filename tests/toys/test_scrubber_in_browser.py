"""The film on a page: the slider by keyboard, Play and Pause, nothing fetched."""

import matplotlib.pyplot as plt
import pytest

from offclip.toys.scrubber import scrubber


def draw(number):
    figure, ax = plt.subplots(figsize=(2, 1))
    ax.plot([0, number])
    return figure


@pytest.fixture
def page(browser, tmp_path):
    film = scrubber(draw, [0, 5, 20, 80], message="Points < lines.", note="Drawn here.")
    path = tmp_path / "film.html"
    path.write_text(f"<!doctype html><title>film</title>{film._repr_html_()}", encoding="utf-8")
    page, faults = browser.new_page(), []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(path.as_uri())
    yield page
    page.close()
    assert faults == []


def shown(page):
    """Names of the visible pictures, and what the slider says."""
    visible = page.locator("img:visible").evaluate_all("all => all.map(one => one.dataset.name)")
    return visible, page.locator("output").inner_text()


def test_the_slider_shows_one_frame_at_a_time(page):
    slider = page.get_by_label("Frame")
    assert shown(page) == (["step 0"], "step 0")
    slider.press("ArrowRight")
    assert shown(page) == (["step 5"], "step 5")
    slider.press("End")
    assert shown(page) == (["step 80"], "step 80")
    slider.press("Home")
    assert shown(page) == (["step 0"], "step 0")


def test_play_runs_to_the_end_starts_over_and_pauses(page):
    play = page.get_by_role("button")
    play.click()
    assert play.inner_text() == "Pause"
    page.wait_for_function("document.querySelector('button').textContent === 'Play'")
    assert shown(page)[1] == "step 80"
    play.click()
    page.wait_for_function("document.querySelector('output').value === 'step 5'")
    play.click()
    paused = shown(page)
    page.wait_for_timeout(800)
    assert shown(page) == paused and play.inner_text() == "Play"


def test_captions_are_text_and_every_picture_is_described(page):
    assert "Points < lines." in page.locator("figcaption").inner_text()
    described = page.locator("img").evaluate_all("all => all.map(one => one.alt)")
    assert described == [f"Points < lines. step {n}" for n in (0, 5, 20, 80)]
