"""The page without a kernel: opened from a file, every control moved, nothing fetched."""

import re

import pytest

from offclip.explorer import LossExplorer
from offclip.explorer.page import MODULE

FIRST = ".scores .cell"


@pytest.fixture
def opened(browser, tmp_path):
    """Open the explorer in a page; fails at the end on console errors or outside requests."""
    path = LossExplorer(is_normal=[True, True, False, False]).save_html(tmp_path / "page.html")
    contexts, faults = [], []

    def start(width=760, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda sent: faults.append(sent.url) if is_outside(sent.url) else None)
        page.goto(path.as_uri())
        page.wait_for_selector(FIRST)
        return page

    def is_outside(url):
        return url != path.as_uri() and not url.startswith(("data:", "blob:"))

    yield start
    for context in contexts:
        context.close()
    assert faults == []


def loss(page):
    return float(page.locator(".term.total span").last.inner_text())


def texts(page, name):
    return page.locator(f".{name} .cell").all_inner_texts()


def test_every_setting_is_moved_by_keyboard_and_answers(opened):
    page = opened()
    page.select_option("[name=size]", "6")
    for name in ("scale", "offDiagonalWeight", "abnormalWeight"):
        before = loss(page)
        page.locator(f"[name={name}]").press("ArrowRight")
        assert loss(page) != before, name
    before = texts(page, "gradient")
    page.select_option("[name=balance]", "classes")
    page.locator("[name=form]").press("ArrowDown")
    assert page.locator("[name=form]").input_value() == "bce" and texts(page, "gradient") != before
    before = texts(page, "scores")
    page.locator("[name=bias]").press("ArrowLeft")
    assert texts(page, "scores") != before
    seen = set()
    for _ in range(5):
        seen.add((page.locator("[name=loss]").input_value(), loss(page)))
        page.locator("[name=loss]").press("ArrowUp")
    assert len({name for name, _ in seen}) >= 4 and len({value for _, value in seen}) >= 4
    page.select_option("[name=loss]", "infonce")
    assert not page.locator("[name=form]").is_visible()
    assert texts(page, "targets")[:5] == ["1", "0", "0", "0", "0"]


def test_the_batch_is_chosen(opened):
    page = opened()
    assert texts(page, "targets")[:4] == ["1/2", "1/2", "0", "0"]
    page.locator("[data-study='2']").select_option("normal")
    assert texts(page, "targets")[:4] == ["1/3", "1/3", "1/3", "0"]
    page.select_option("[name=size]", "8")
    assert len(texts(page, "scores")) == 64
    page.select_option("[data-study='3']", "pneumothorax")
    before = loss(page)
    page.select_option("[data-study='4']", "pneumothorax")
    assert page.locator(".gradient .ignored").count() == 2 and loss(page) < before
    page.locator("[name=ignoreShared]").press("Space")
    assert page.locator(".gradient .ignored").count() == 0 and loss(page) == before
    page.select_option("[name=size]", "2")
    assert len(texts(page, "scores")) == 4


@pytest.mark.parametrize("source", ["points", "free"])
def test_a_score_is_dragged_and_moved_by_keys(opened, source):
    page = opened()
    page.locator(f"[value={source}]").press("Space")
    cell = page.locator(".scores .cell").nth(2)
    cell.scroll_into_view_if_needed()
    box = cell.bounding_box()
    before, start = loss(page), texts(page, "scores")
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 70, box["y"] + 10, steps=4)
    page.mouse.up()
    dragged = texts(page, "scores")
    assert loss(page) != before and dragged[2] != start[2]
    others = [i for i in range(16) if i != 2 and dragged[i] != start[i]]
    assert bool(others) == (source == "points")  # free scores move alone
    page.keyboard.press("ArrowDown")
    assert texts(page, "scores")[2] != dragged[2]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("PageUp")
    assert "Image 1 with text 4" in page.locator(".readout").inner_text()
    assert page.locator(".scores .cell[tabindex='0']").count() == 1


def test_points_turn_by_mouse_and_keys(opened):
    page = opened()
    mark = page.locator(".point.image").first
    mark.scroll_into_view_if_needed()
    before = texts(page, "scores")
    page.locator(".point[tabindex='0']").press("ArrowUp")
    turned = texts(page, "scores")
    assert turned[:4] != before[:4] and turned[4:] == before[4:]
    box = mark.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 40, steps=3)
    page.mouse.up()
    assert texts(page, "scores") != turned


@pytest.mark.parametrize("name", ["infonce", "offdiag_bce", "offdiag_soft", "offclip", "siglip"])
def test_steps_descend_and_start_over_returns(opened, name):
    page = opened()
    page.select_option("[name=loss]", name)
    page.locator("[name=stepSize]").press("ArrowLeft")
    for source in ("points", "free"):
        page.locator(f"[value={source}]").press("Space")
        page.click("[name=over]")
        start = loss(page)
        for _ in range(5):
            page.click("[name=step]")
        assert loss(page) < start
        assert page.locator(".count").inner_text() == "Loss after step 5"
    page.click("[name=over]")
    assert loss(page) == start


def test_play_runs_until_paused(opened):
    page = opened()
    page.click("[name=play]")
    page.wait_for_function(
        "() => document.querySelector('.offclip-explorer > div').shadowRoot"
        ".querySelector('.count').textContent > 'Loss after step 3'"
    )
    page.click("[name=play]")
    count = page.locator(".count").inner_text()
    page.wait_for_timeout(150)
    assert page.locator(".count").inner_text() == count
    assert page.locator("[name=play]").inner_text() == "Play"


def test_less_motion_means_no_animation(opened):
    page = opened(reduced_motion="reduce")
    assert page.locator("[name=play]").inner_text() == "50 steps"
    page.click("[name=play]")
    assert page.locator(".count").inner_text() == "Loss after step 50"
    assert page.locator("[name=play]").inner_text() == "50 steps"


def test_gathered_normals_cost_infonce_log_k_and_off_clip_nothing_more(opened):
    page = opened()
    page.select_option("[name=loss]", "infonce")
    page.click("[name=gather]")
    block = [texts(page, "scores")[i] for i in (0, 1, 4, 5)]
    assert len(set(block)) == 1
    floor = float(re.search(r"below ([\d.]+)", page.locator(".floor").inner_text()).group(1))
    assert floor == pytest.approx(0.347) and loss(page) > floor  # 2 log 2 / 4


def test_live_choices_travel_both_ways(opened):
    """The contract with anywidget's model, played by a stand-in."""
    page = opened()
    page.evaluate(
        """async (source) => {
          const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
          const { default: widget } = await import(url);
          const heard = {}, kept = { is_normal: [true, false, false], loss: "infonce" };
          const put = (key, value) => { kept[key] = value; heard[`change:${key}`]?.(); };
          const model = { get: (key) => kept[key], set: put, save_changes() {},
            on: (name, call) => { heard[name] = call; }, off: (name) => { delete heard[name]; } };
          const el = document.body.appendChild(document.createElement("div"));
          el.id = "live";
          window.live = { kept, put, heard, leave: widget.render({ model, el }) };
        }""",
        MODULE,
    )
    page.locator("#live [data-study='1']").select_option("normal")
    page.locator("#live [name=loss]").select_option("siglip")
    kept = page.evaluate("live.kept")
    assert kept == {"is_normal": [True, True, False], "loss": "siglip"}
    page.evaluate("live.put('is_normal', [false, false]); live.put('loss', 'offdiag_soft')")
    assert page.locator("#live .scores .cell").count() == 4
    assert page.locator("#live [name=loss]").input_value() == "offdiag_soft"
    page.click("#live [name=reset]")
    assert page.evaluate("live.kept") == {"is_normal": [True, False, False], "loss": "infonce"}
    assert page.evaluate("live.leave(), Object.keys(live.heard)") == []


def test_reset_brings_everything_back(opened):
    page = opened()
    before = texts(page, "scores"), loss(page)
    page.select_option("[name=size]", "7")
    page.select_option("[name=loss]", "siglip")
    page.locator("[name=scale]").press("End")
    page.click("[name=reset]")
    assert (texts(page, "scores"), loss(page)) == before
    assert page.locator("[name=loss]").input_value() == "offclip"


@pytest.mark.parametrize("width", [760, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_follows_the_page_in_light_and_dark(opened, tmp_path, width, scheme):
    page = opened(width, color_scheme=scheme)
    page.select_option("[name=size]", "8")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colour = "e => getComputedStyle(e).backgroundColor"
    panel = {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 25, 31)"}
    assert page.locator(".explorer").evaluate(colour) == panel[scheme]
    other = {"light": "dark", "dark": "light"}[scheme]
    page.evaluate(f"document.documentElement.dataset.theme = '{other}'")  # Sphinx's own switch
    assert page.locator(".explorer").evaluate(colour) == panel[other]
    spill = "cells => cells.some((cell) => cell.scrollWidth > cell.clientWidth)"
    assert not page.locator(".gradient .cell").evaluate_all(spill)
    page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
