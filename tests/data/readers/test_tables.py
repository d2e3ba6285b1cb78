"""Tables, lists and labels alone: read in every form of CSV, or refused by name and line."""

import gzip

import pandas as pd
import pytest

from offclip.data.readers.padchest import labels_of
from offclip.data.readers.rows import finished, leads_out
from offclip.data.tables import label_maps, read_table, read_text


def test_plain_paths_are_not_marked():
    good = ["files/p10/p10000032/s5/a-b.jpg", "a/.hidden", "images/é.png", "x..y.png"]
    assert not leads_out(pd.Series(good)).any()


def test_numbers_of_patients_keep_their_zeros(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,x\n0012,1\n12,2\n1e3,3\n")
    assert read_table(path, ("id",))["id"].tolist() == ["0012", "12", "1e3"]


def test_tables_in_every_form_are_the_same(tmp_path):
    plain = 'id, label ,text\n1,0,"a, b"\n2,NaN,"two\nlines"\n'
    forms = {
        "plain.csv": plain.encode(),
        "bom.csv": b"\xef\xbb\xbf" + plain.encode(),
        "crlf.csv": plain.replace("\n", "\r\n").encode(),
        "cr.csv": plain.replace("\n", "\r").encode(),
        "packed.csv.gz": gzip.compress(plain.encode()),
        "blank.csv": ("\n" + plain.replace("\n1", "\n\n1") + "\n\n").encode()[1:],
        "open_end.csv": plain.rstrip("\n").encode(),
    }
    for name, data in forms.items():
        (tmp_path / name).write_bytes(data)
        table = read_table(tmp_path / name, ("id", "label", "text"))
        assert table["id"].tolist() == ["1", "2"] and table["label"].tolist() == ["0", "NaN"], name
        assert table["text"][0] == "a, b" and table["text"][1].split() == ["two", "lines"]


WHOLE = b"id,label\n1,0\n2,1\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged, or no CSV table"),
        (b"id,label\n", "expected rows, got the header alone"),
        (b"id,labels\n1,2\n", r"got none called \['label'\]; did you mean 'labels'"),
        (b"\xef\xbb\xbfid;label\n1;0\n", "separated by semicolons: save it with commas"),
        (b"id,label,label\n1,2,3\n", "each column once"),
        (b"id,label\n1,0,x\n2,0\n", r"t.csv, line 2: expected 2 values"),
        (b"id,label\n1,0\n2,0,x\n", r"Expected 2 fields in line 3, saw 3"),
        (b'id,label\n1,"0\n2,1\n', r"EOF inside string"),
        (b"id,label\n1,0\n2", "the last line is cut; download it again"),
        (WHOLE.decode().encode("utf-16"), "no CSV table in UTF-8"),
        (b"id,label\n1,\xe9\n", "no CSV table in UTF-8"),
    ],
)  # fmt: skip
def test_tables_that_are_none_are_refused_by_name_and_line(data, message, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as error:
        read_table(path, ("id", "label"))
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_lists_in_no_text_are_refused(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("a.png\n".encode("utf-16"))
    with pytest.raises(ValueError, match=r"list\.txt: no text in UTF-8"):
        read_text(path)
    path.write_bytes(b"\xef\xbb\xbfa.png\r\n")
    assert read_text(path).split() == ["a.png"]


def test_a_cut_archive_is_refused(tmp_path):
    path = tmp_path / "t.csv.gz"
    whole = gzip.compress(WHOLE * 3000)
    for data in (whole[:-9], whole[: len(whole) // 2], whole[:5], b"not packed", b""):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"t\.csv\.gz"):
            read_table(path, ("id", "label"))


def test_labels_are_one_zero_unknown_or_blank_and_nothing_else():
    column = ["1", "1.0", "0", "-1.0", "", "NaN", "None", "2", "x", "0.5", "inf"]
    maps, wrong = label_maps(pd.DataFrame({"a": column}, dtype=str), ["a"])
    assert [each["a"] for each in maps[:7]] == [1, 1, 0, None, 0, 0, 0]
    assert wrong.tolist() == [False] * 7 + [True] * 4


def test_no_rows_are_no_set():
    empty = pd.DataFrame({"study_id": [], "reason": []})
    with pytest.raises(ValueError, match="here: expected rows of images, got none"):
        finished(empty, {}, "here")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("['normal']", {"normal": 1}),
        ("['mass', ' cardiomegaly']", {"mass": 1, "cardiomegaly": 1}),
        ("[]", {}), ("nan", {}), ("", {}),
        ("['normal", None), ("['normal', 'mass']", None), ("['massive']", None),
        ("{'mass': 1}", None), ("[1]", None), ("__import__('os')", None), ("[" * 50_000, None),
    ],
)  # fmt: skip
def test_padchest_lists(text, labels):
    assert labels_of(text, {"normal", "mass", "cardiomegaly"}) == labels
