"""Report text and prompts are found in whatever way a published file holds them."""

import base64
import json

import pandas as pd
import pytest

from offclip.data.records import write_records
from offclip.disclosure import local_copy, passages
from offclip.disclosure.words import words_of
from tests.disclosure.made import PROMPTS, SENTENCES, SHORT, STUDIES, records

SENTENCE = SENTENCES[4]
WORDS = SENTENCE.split()
PASSAGE = "passages of restricted reports"


def notebook(**cell):
    """A notebook with one code cell."""
    plain = {"cell_type": "code", "source": [], "metadata": {}, "outputs": []}
    return json.dumps({"cells": [{**plain, **cell}], "metadata": {}, "nbformat": 4})


def output(kind, text):
    """A notebook whose cell shows this text."""
    if kind == "stdout":
        return notebook(outputs=[{"output_type": "stream", "name": kind, "text": [text]}])
    data = {kind: text.replace("nodule", "nodule\n").splitlines(keepends=True)}
    return notebook(outputs=[{"output_type": "display_data", "data": data, "metadata": {}}])


PAGES = {
    "page.html": f"<p>He said: {SENTENCE}</p>",
    "case.html": f"<p>{SENTENCE.upper()}</p>",
    "spaces.html": f"<p>{'  '.join(WORDS[:6])}\n\t{'&nbsp; '.join(WORDS[6:])}</p>",
    "punctuation.html": "<p>" + " / ".join(WORDS).replace(",", ";") + "</p>",
    "tags.html": "<p>" + " ".join(f"<b>{word}</b>" for word in WORDS) + "</p>",
    "inside_words.html": "<p>" + " ".join(f"<i>{w[:2]}</i>{w[2:]}" for w in WORDS) + "</p>",
    "cells.html": "<tr>" + "".join(f"<td>{word}</td>" for word in WORDS) + "</tr>",
    "soft_hyphens.html": SENTENCE.replace("nodule", "nod&shy;ule").replace(
        "border", "bor\u200bder"
    ),
    "alt.html": f'<img src="a.png" alt="{SENTENCE}">',
    "title.html": f"<a href='x' title='{SENTENCE}'>x</a>",
    "comment.html": f"<!-- {SENTENCE} --><p>x</p>",
    "style.html": f"<style>/* {SENTENCE} */</style>",
    "script.html": f"<script>let state = {json.dumps({'report': SENTENCE})};</script>",
    "nested.html": f"<script>s = {json.dumps(json.dumps({'r': [SENTENCE + chr(10)]}))}</script>",
    "escaped.html": "<script>s='" + "".join(f"\\u{ord(c):04x}" for c in SENTENCE) + "'</script>",
    "entities.html": "".join(f"&#{ord(c)};" for c in SENTENCE),
    "address.html": '<a href="search?q=' + SENTENCE.replace(" ", "%20") + '">x</a>',
    "download.html": "data:text/csv;base64," + base64.b64encode(SENTENCE.encode()).decode(),
    "source.ipynb": notebook(source=[f"text = '{' '.join(WORDS[:6])} '\n", " ".join(WORDS[6:])]),
    "plain.ipynb": output("text/plain", SENTENCE),
    "html.ipynb": output("text/html", f"<td>{SENTENCE}</td>"),
    "stdout.ipynb": output("stdout", SENTENCE),
    "metadata.ipynb": notebook(metadata={"note": SENTENCE}),
    "attachment.ipynb": notebook(attachments={SENTENCE: {"image/png": ""}}),
    "evidence.json": json.dumps([{"dataset": "x", "metric": "m", "detail": SENTENCE, "n": 9}]),
    "searchindex.js": f'Search.setIndex({{"alltitles": {{"{SENTENCE}": [[0, "id"]]}}}})',
    "_sources/page.md": f"# Title\n\n> {SENTENCE}\n",
    "figure.svg": f"<svg><text>{SENTENCE}</text></svg>",
    "table.csv": f"row,text\n1,{SENTENCE}\n",
    "prompt.html": PROMPTS[4],
    "part.html": " ".join(WORDS[2:10]),
    "short_sentences.html": SHORT[4],
}


@pytest.mark.parametrize("name", PAGES)
def test_text_is_found_and_not_repeated(found, name):
    (fault,) = found({name: PAGES[name]})
    assert fault == f"site/{name}: 1 {PASSAGE}"


def test_passages_are_counted_once_each(found):
    pages = {"two.html": f"<p>{SENTENCES[1]}</p><p>{SENTENCES[2]}</p>", "none.html": "<p>clear</p>"}
    assert found(pages) == [f"site/two.html: 2 {PASSAGE}"]


@pytest.mark.parametrize(
    "text",
    [
        " ".join(WORDS[:7]),
        "No effusion. Pacer in place. Nodule 7 mm.",
        " ".join(reversed(WORDS)),
        "A nodule of 7 mm lies over the right border of the trachea; we saw it first.",
    ],
    ids=["seven words", "short phrases", "another order", "told anew"],
)
def test_what_is_no_quotation(found, text):
    assert found({"page.html": text}) == []


def test_words_are_alike_in_ascii_and_beyond_it():
    plain = words_of(["Resumen: no hay derrame, 3 mm."]).hashes
    beyond = words_of(["RESUMEN no\u00a0hay derrame \u2013 3 mm \u00e9"]).hashes
    assert (beyond[:-1] == plain).all() and len(words_of([""]).hashes) == 0
    composed, apart = (
        words_of(["derrame pleural peque\u00f1o"]),
        words_of(["DERRAME PLEURAL PEQUEN\u0303O"]),
    )
    assert (composed.hashes == apart.hashes).all()


def copy_of(folder, *tables):
    """A local copy of several curations."""
    for number, table in enumerate(tables):
        write_records(table, folder / str(number) / "records.parquet")
    return local_copy([folder])


def test_what_open_reports_say_too_is_no_fault(found, tmp_path):
    opened = records("open-no-derivatives", "openi_phantom")
    copy = copy_of(tmp_path / "both", records(), opened)
    assert found({"page.html": SENTENCE}, copy) == []
    (tmp_path / "own.md").write_text(f"We invented: {SENTENCE}")
    copy = copy_of(tmp_path / "one", records())
    assert found({"page.html": SENTENCE}, copy, open_texts=[tmp_path / "own.md"]) == []
    assert len(found({"page.html": SENTENCE}, copy)) == 1


def test_a_phrase_of_many_patients_is_nobodys(found, tmp_path, monkeypatch):
    table = records()
    table["sentences"] = [[SENTENCES[0]]] * 8 + [[SENTENCES[1]]] * 4
    table.loc[8:, "patient_id"] = "10000700"  # one patient who is told the same again and again
    copy = copy_of(tmp_path / "common", table)
    monkeypatch.setattr(passages, "COMMON", 3)
    pages = {"common.html": SENTENCES[0], "one_patient.html": SENTENCES[1]}
    assert found(pages, copy) == [f"site/one_patient.html: 1 {PASSAGE}"]
    monkeypatch.setattr(passages, "COMMON", 8)
    assert len(found(pages, copy)) == 2


def test_no_derivatives_may_be_quoted_but_not_altered(found, tmp_path):
    copy = copy_of(tmp_path / "nd", records("open-no-derivatives", "openi_phantom"))
    pages = {"quoted.html": f"{SENTENCE} {SHORT[4]} {STUDIES[4]}", "altered.html": PROMPTS[4]}
    assert found(pages, copy) == ["site/altered.html: 1 passages of altered no-derivatives text"]


def test_open_records_are_no_secret(found, tmp_path):
    pages = {"page.html": SENTENCE + PROMPTS[4] + STUDIES[4]}
    assert found(pages, copy_of(tmp_path / "open", records("open", "nih_chestxray14"))) == []


def test_a_damaged_copy_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected records.parquet in .*got none"):
        local_copy([tmp_path])
    (tmp_path / "records.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(ValueError, match="records.parquet: damaged Parquet.*curate again"):
        local_copy([tmp_path])
    pd.DataFrame({"study_id": ["1"]}).to_parquet(tmp_path / "records.parquet")
    with pytest.raises(ValueError, match=r"expected the columns \['access'\]"):
        local_copy([tmp_path])
