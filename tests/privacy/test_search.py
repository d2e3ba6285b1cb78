"""Passages and identifiers of restricted records are found in whatever form a page has them."""

import json

import pandas as pd
import pytest

from offclip.data.records import write_records
from offclip.privacy import local_copy, search
from offclip.privacy.words import numbered_words, readings, words_of
from tests.privacy.made import (
    IMAGES,
    LEFT_OUT,
    PATIENTS,
    PROMPTS,
    SENTENCES,
    SHORT,
    STUDIES,
    private_copy,
    records,
)  # fmt: skip

SENTENCE = SENTENCES[4]
WORDS = SENTENCE.split()
PASSAGE = "passage of a restricted report"
IDENTIFIER = "identifier of a restricted record"


def notebook(**cell):
    """A notebook with one code cell, as it is stored."""
    plain = {"cell_type": "code", "source": [], "metadata": {}, "outputs": []}
    return json.dumps({"cells": [{**plain, **cell}], "metadata": {}, "nbformat": 4})


def output(kind, text):
    """A notebook whose cell shows this text."""
    data = {kind: text.replace("nodule", "nodule\n").splitlines(keepends=True)}
    return notebook(outputs=[{"output_type": "display_data", "data": data, "metadata": {}}])


PAGES = {
    "page.html": f"<p>He said: {SENTENCE}</p>",
    "case.html": f"<p>{SENTENCE.upper()}</p>",
    "line_breaks.html": f"<p>{' '.join(WORDS[:6])}\n\t{'&nbsp; '.join(WORDS[6:])}</p>",
    "punctuation.html": "<p>" + " / ".join(WORDS).replace(",", ";") + "</p>",
    "tags.html": "<p>" + " ".join(f"<b>{word}</b>" for word in WORDS) + "</p>",
    "inside_words.html": "<p>" + " ".join(f"<i>{w[:2]}</i>{w[2:]}" for w in WORDS) + "</p>",
    "cells.html": "<tr>" + "".join(f"<td>{word}</td>" for word in WORDS) + "</tr>",
    "alt.html": f'<img src="a.png" alt="{SENTENCE}">',
    "comment.html": f"<!-- {SENTENCE} --><p>x</p>",
    "script.html": f"<script>let state = {json.dumps({'report': SENTENCE})};</script>",
    "nested.html": f"<script>s = {json.dumps(json.dumps({'r': [SENTENCE + chr(10)]}))}</script>",
    "escaped.html": "<script>s='" + "".join(f"\\u{ord(c):04x}" for c in SENTENCE) + "'</script>",
    "entities.html": "".join(f"&#{ord(c)};" for c in SENTENCE),
    "source.ipynb": notebook(source=[f"text = '{' '.join(WORDS[:6])} '\n", " ".join(WORDS[6:])]),
    "plain.ipynb": output("text/plain", SENTENCE),
    "html.ipynb": output("text/html", f"<td>{SENTENCE}</td>"),
    "metadata.ipynb": notebook(metadata={"note": SENTENCE}),
    "evidence.json": json.dumps([{"dataset": "x", "metric": "m", "detail": SENTENCE, "n": 9}]),
    "searchindex.js": f'Search.setIndex({{"alltitles": {{"{SENTENCE}": [[0, "id"]]}}}})',
    "_sources/page.md": f"# Title > {SENTENCE}\n",
    "figure.svg": f"<svg><text>{SENTENCE}</text></svg>",
    "table.csv": f"row,text,{SENTENCE}\n",
    "prompt.html": PROMPTS[4],
    "eight_words.html": " ".join(WORDS[2:10]),
    "short_sentences.html": SHORT[4],
}


@pytest.mark.parametrize("name", PAGES)
def test_a_passage_is_found_and_not_repeated(leaks, name):
    assert leaks({name: PAGES[name]}) == [f"{name}: line 1: {PASSAGE}"]


@pytest.mark.parametrize(
    "text",
    [
        " ".join(WORDS[:7]),
        " ".join(reversed(WORDS)),
        "A nodule of 7 mm lies over the right border of the trachea; we saw it first.",
    ],
    ids=["seven words", "another order", "other words"],
)
def test_what_is_no_quotation(leaks, text):
    assert leaks({"page.html": text}) == []


def test_each_finding_names_its_line(leaks):
    page = f"""<html><script
    src="x">\nlet a = 1;</script>
<p>{SENTENCES[1]}</p>
<!-- two
lines --><p>{SENTENCES[2]} and {SENTENCES[3]}</p>
<b
>{" ".join(WORDS[:5])}
{" ".join(WORDS[5:])}</b> {STUDIES[0]}"""
    lines = [f"page.html: line {n}: {kind}" for n, kind in
             [(4, PASSAGE), (6, PASSAGE), (8, PASSAGE), (9, IDENTIFIER)]]  # fmt: skip
    assert leaks({"page.html": page}) == lines


def test_words_are_alike_in_every_form():
    forms = ["Resumen: no hay derrame pequeño, 3.5 mm.", "RESUMEN no\u00a0hay derrame",
             "PEQUEN\u0303O \u2013 3.5mm"]  # fmt: skip
    plain, *others = map(words_of, forms)
    assert plain == ["resumen", "no", "hay", "derrame", "pequeño", "3.5", "mm"]
    assert others == [plain[:4], plain[4:]]
    assert words_of("1.2.840.10008.5 v2 0.5. 7_8") == ["1.2.840.10008.5", "v2", "0.5", "7", "8"]
    assert words_of(" ") == [] and numbered_words("a\n\nb&#10;c") == (["a", "b", "c"], [1, 3, 3])
    assert readings("no tags " + "iVBOR" * 50) == ["no tags  "]


def copy_of(folder, *tables):
    """A local copy of several curations."""
    for number, table in enumerate(tables):
        write_records(table, folder / str(number) / "records.parquet")
    return local_copy([folder])


def test_what_open_texts_say_too_is_no_fault(leaks, tmp_path):
    opened = records("open-no-derivatives", "openi_phantom")
    for order in (0, 1):
        copy = copy_of(tmp_path / f"both{order}", *[records(), opened][:: 1 - 2 * order])
        assert leaks({"page.html": SENTENCE}, copy) == []
    (tmp_path / "own.md").write_text(f"We invented: {SENTENCE}")
    copy = copy_of(tmp_path / "one", records())
    assert leaks({"page.html": SENTENCE}, copy, open_texts=[tmp_path / "own.md"]) == []
    assert len(leaks({"page.html": SENTENCE}, copy)) == 1


def test_a_phrase_of_many_patients_is_nobodys(leaks, tmp_path, monkeypatch):
    table = records()
    table["sentences"] = [[SENTENCES[0]]] * 8 + [[SENTENCES[1]]] * 4
    table.loc[8:, "patient_id"] = "10000700"  # one patient with the same sentence in four reports
    copy = copy_of(tmp_path / "common", table)
    monkeypatch.setattr(search, "COMMON", 3)
    pages = {"common.html": SENTENCES[0], "one_patient.html": SENTENCES[1]}
    assert leaks(pages, copy) == [f"one_patient.html: line 1: {PASSAGE}"]
    monkeypatch.setattr(search, "COMMON", 8)
    assert len(leaks(pages, copy)) == 2


@pytest.mark.parametrize(
    "shown",
    [
        STUDIES[3],
        f"<td>{PATIENTS[3]}</td>",
        f"P{PATIENTS[3]}",
        f"see s{STUDIES[3]}.",
        f'<a href="files/{IMAGES[3].upper()}.jpg">x</a>',
        f"<img src='_images/{IMAGES[3]}.png'>",
        f"<script>ids=['{STUDIES[3]}',1]</script>",
        f"p{PATIENTS[3]}_s1",
        json.dumps({"ids": [int(STUDIES[3])]}),
        output("text/html", f"<td>{STUDIES[3]}</td>"),
        LEFT_OUT,
    ],
)
def test_identifiers_are_found(leaks, shown):
    assert leaks({"page.html": shown}) == [f"page.html: line 1: {IDENTIFIER}"]


@pytest.mark.parametrize(
    "shown",
    [
        f"1{STUDIES[3]}0 {STUDIES[3]}7 x{PATIENTS[3]}y",
        f"0.{STUDIES[3]} or {PATIENTS[3]}.5 or -1.{PATIENTS[3]}e-3",
        f"{STUDIES[3][:7]} {STUDIES[3][:4]} {STUDIES[3][4:]}",
        "files p10 train view1_frontal",
    ],
    ids=["longer numbers", "decimals", "parts", "folders"],
)
def test_what_is_no_identifier(leaks, shown):
    assert leaks({"page.html": shown}) == []


def test_identifiers_in_names_of_files(leaks):
    name = f"s{STUDIES[3]}/{IMAGES[3]}.png"
    assert leaks({name: b"\x89PNG\0"}) == [f"{name}: file name: {IDENTIFIER}"]


def test_uids_and_ids_with_a_slash(leaks, tmp_path):
    table = records("registration", "chexpert", 4)
    uid = "1.2.826.0.1.3680043.8.498"
    table["study_id"] = [f"patient6474{n}/study1" for n in range(4)]
    table["patient_id"] = [f"patient6474{n}" for n in range(4)]
    table["image"] = [f"test/{uid}.{n}7.dcm" for n in range(4)]
    copy = copy_of(tmp_path / "uids", table)
    pages = {
        "folder.html": "/train/patient64741/study1/view1.jpg",
        "other.html": f"{uid}.9 patient6474 study1",
        "uid.html": f"{uid}.27.dcm",
    }
    named = [f"{name}: line 1: {IDENTIFIER}" for name in ("folder.html", "uid.html")]
    assert leaks(pages, copy) == named


@pytest.mark.parametrize("access", ["open", "open-no-derivatives"])
def test_open_records_are_no_secret(leaks, tmp_path, access):
    pages = {"page.html": SENTENCE + PROMPTS[4] + STUDIES[4]}
    (tmp_path / "open").mkdir()
    assert leaks(pages, local_copy([private_copy(tmp_path / "open", access)])) == []


def test_a_damaged_copy_is_named_and_an_empty_one_is_none(leaks, tmp_path):
    path = tmp_path / "records.parquet"
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(FileNotFoundError, match="expected records.parquet in .*got none"):
            local_copy([folder])
    path.write_bytes(b"PAR1 cut")
    with pytest.raises(ValueError, match="records.parquet: damaged Parquet.*curate again"):
        local_copy([tmp_path])
    pd.DataFrame({"study_id": ["1"]}).to_parquet(path)
    with pytest.raises(ValueError, match=r"expected the columns \['access'\]"):
        local_copy([tmp_path])
    records().head(0).to_parquet(path)
    assert leaks({"page.html": SENTENCE}, local_copy([tmp_path])) == []
