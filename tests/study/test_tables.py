"""Tables of evidence: one name, one configuration, one population."""

import pandas as pd
import pytest

from book.ledger_table import ledger_table
from book.results_table import read_records, results_table
from offclip.study import overview, pooled, spelled
from offclip.study.tables import check_names, labels, of_the_study


@pytest.fixture(scope="module")
def all_records():
    return read_records()


@pytest.fixture(scope="module")
def study(all_records):
    chosen = of_the_study(all_records)
    return chosen[(chosen["head"] == "cross_attention") & (chosen["split"] == "test")]


def stray(records, **changed):
    """A run of ``infonce`` with another configuration: what chapter 7 records of its own run."""
    own = (records["variant"] == "infonce") & (records["prompting"] == "prompted")
    own &= (records["seed"] == 0) & (records["split"] == "test")
    chosen = records[own & (records["head"] == "cross_attention")]
    return chosen[chosen["metric"].isin(["normal_auc", "pointing"])].assign(**changed)


OTHER = {"seed": 5, "config": "0123456789ab"}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (OTHER, "config 0123456789ab"),  # a run that is not in the mean
        (OTHER | {"value": 0.1, "seed": 6}, "config 0123456789ab"),
        ({"config": "0123456789ab"}, "config 0123456789ab"),  # the same seed twice
        (OTHER | {"n": 300}, "n 300"),
        (OTHER | {"dataset": "openi"}, "dataset openi, "),
    ],
)
def test_records_of_another_run_under_one_name_are_refused(all_records, study, changed, named):
    one = [study, stray(all_records, **changed)]
    for order in (one, one[::-1]):
        mixed = pd.concat(order, ignore_index=True)
        for table in (
            lambda r: pooled(r, "normal_auc"),
            overview,
            lambda r: spelled(r, ["infonce"], {"normal": "normal_auc"}),
            of_the_study,
            results_table,
        ):
            with pytest.raises(ValueError, match=f"'infonce'.*normal_auc.*{named}") as error:
                table(mixed)
            assert "openi_phantom" in str(error.value) and "name of their own" in str(error.value)
    with pytest.raises(ValueError, match=named):
        ledger_table(pd.concat([all_records, stray(all_records, **changed)]))


def test_a_second_study_under_the_same_names_is_refused(study):
    """Means over seeds of two studies, each whole: the second would have been a row more."""
    again = study.assign(config=study["config"].str.replace("[0-9a-f]{12}", "cdef", regex=True))
    with pytest.raises(ValueError, match="'infonce, raw'.*config cdef"):
        pooled(pd.concat([study, again]), "normal_auc")


def test_columns_of_two_studies_in_one_row_are_refused(study):
    pointing = study["metric"].isin(["pointing", "pointing_chance"])
    other = study[pointing].assign(config="0123456789ab", seed=None)
    mixed = pd.concat([study[~pointing], other.drop_duplicates(["variant", "metric", "detail"])])
    with pytest.raises(ValueError, match="'infonce.*0123456789ab"):
        overview(mixed)


def test_heads_are_not_pooled(all_records):
    with pytest.raises(ValueError, match="head cross_attention.*head cosine"):
        pooled(all_records[all_records["dataset"] == "openi_phantom"], "normal_auc")


def test_the_seeds_shown_are_those_of_the_mean(study):
    assert (overview(study)["seeds"] == 5).all()
    without = study[~((study["seed"] == 4) & (study["variant"] == "offclip"))]
    with pytest.raises(ValueError, match="'offclip'"):
        overview(without)


def test_one_population_in_the_results_table(study):
    few = study["variant"] == "offclip"
    mixed = pd.concat([study[~few], study[few].assign(n=99)])
    with pytest.raises(ValueError, match="openi_phantom, 741.*openi_phantom, 99"):
        results_table(mixed)


def test_the_records_of_the_book_pass(all_records):
    trained = all_records[all_records["prompting"].notna()]
    for (_, _, metric), part in trained.groupby(["dataset", "head", "metric"]):
        if not metric.endswith("_search"):
            check_names(part)


def test_what_is_beside_the_study_is_left_out_by_its_setting(all_records):
    chosen = of_the_study(all_records)
    compared = chosen["detail"].str.extract("^offclip minus (.+?): ")[0].dropna()
    assert set(compared.unique()) >= {"infonce@raw", "infonce+filter"}
    assert not compared.str.contains("errors|tier").any()
    extra = all_records[all_records["detail"] == "offclip minus infonce: mean"]
    extra = extra.assign(detail="offclip minus offclip+tier: mean")
    assert len(of_the_study(pd.concat([all_records, extra]))) == len(chosen)


def test_settings_stand_behind_the_name():
    rows = [("offclip", None, "prompted"), ("infonce", None, "raw"), ("no model", None, None)]
    rows += [("offclip", "tuned: a 1, b 2", "prompted"), ("infonce", "batch 16", "raw")]
    records = pd.DataFrame(rows, columns=["variant", "setting", "prompting"])
    expected = ["offclip", "infonce, raw", "no model", "offclip, tuned: a 1, b 2"]
    assert list(labels(records)) == [*expected, "infonce, batch 16, raw"]
