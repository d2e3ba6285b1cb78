"""Figures of the chapters show the records they name, and no others."""

import json
import re
from pathlib import Path

import matplotlib.pyplot as plt

from offclip.plotting import ABNORMAL, INK, NORMAL
from offclip.study import recorded
from offclip.study.tables import labels

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"


def code_of(notebook, figure):
    """The code of the cell that draws the figure of this name."""
    cells = json.loads((NOTEBOOKS / notebook).read_text(encoding="utf-8"))["cells"]
    named = [c for c in cells if figure in json.dumps(c["metadata"]) and c["cell_type"] == "code"]
    (cell,) = named
    return "".join(cell["source"])


def test_errors_of_the_filter_are_drawn_alone(monkeypatch):
    monkeypatch.chdir(NOTEBOOKS)
    names = "import matplotlib.pyplot as plt, seaborn\n"
    names += "from offclip.plotting import ABNORMAL, INK, NORMAL\n"
    exec(names + code_of("06_text_filter.ipynb", "fig-errors"), figure := {})
    records = recorded("../book/results", beside=True)
    for ax, metric in zip(
        figure["axes"], ("normal_auc", "abnormal_auc_pos", "pointing"), strict=True
    ):
        line = ax.containers[0].lines[0]
        chosen = records[(records["metric"] == metric) & (records["detail"] == "mean")]
        chosen = chosen[(chosen["split"] == "test") & chosen["seed"].isna()]
        values = chosen.set_index(labels(chosen))["value"]
        expected = [values["offclip"]]
        expected += [values[f"offclip, {share}% filter errors"] for share in (1, 5, 10, 20)]
        assert list(line.get_xdata()) == [0, 1, 5, 10, 20]
        assert list(line.get_ydata()) == expected
    colours = [ax.containers[0].lines[0].get_color() for ax in figure["axes"]]
    assert colours == [NORMAL, ABNORMAL, INK]
    plt.close("all")


def test_no_variant_is_chosen_by_a_part_of_its_name():
    part = re.compile(r"\bvariant\\?\"\]\.str\.(startswith|contains)\(")
    folders = ("notebooks", "offclip/study", "book", "benchmarks")
    paths = [path for folder in folders for path in (ROOT / folder).glob("*.*")]
    texts = {p: p.read_text("utf-8") for p in paths if p.suffix in (".py", ".ipynb")}
    assert len(texts) > 40 and not [p.name for p, text in texts.items() if part.search(text)]
