"""Manifests of the sets with a reader: complete, and worded as prompts are."""

import re

import pytest

from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS
from offclip.data.readers.vindr import GLOBAL, LOCAL
from offclip.rehearsal.studies import FINDINGS

WORDED = re.compile(r"[a-z][a-z0-9 -]*")


@pytest.mark.parametrize("name", READERS)
def test_a_manifest_says_what_a_user_needs(name):
    manifest = load_manifest(name)
    for key in ("description", "how_to_get", "layout", "split_rule", "unverified", "citation"):
        assert len(getattr(manifest, key)) > 20, key
    assert manifest.licence_url.startswith("https://") and manifest.expected
    assert manifest.normal_label not in manifest.prompts
    assert manifest.normal_prompts == load_manifest("openi_phantom").normal_prompts


@pytest.mark.parametrize("name", READERS)
def test_prompts_are_lower_case_phrases_and_differ(name):
    phrases = list(load_manifest(name).prompts.values())
    assert all(WORDED.fullmatch(phrase) for phrase in phrases)
    assert len(set(phrases)) == len(phrases)
    assert not any(re.match(r"(there|no|a|an|the) ", phrase) for phrase in phrases)


def test_most_classes_of_every_set_can_be_drawn():
    for name in READERS:
        prompts = load_manifest(name).prompts
        drawn = sum(phrase in FINDINGS for phrase in prompts.values())
        assert drawn >= (20 if name == "padchest" else 0.6 * len(prompts)), name
    known = {phrase for name in READERS for phrase in load_manifest(name).prompts.values()}
    assert set(FINDINGS) <= known


def test_other_spellings_lead_to_labels():
    for name in READERS:
        manifest = load_manifest(name)
        known = {*manifest.prompts, manifest.normal_label}
        assert set(manifest.other_names.values()) <= known
        assert not set(manifest.other_names) & known
    assert {*LOCAL, *GLOBAL} == {*load_manifest("vindr_cxr").prompts, "No finding"}
    assert len(LOCAL) == 22 and len(GLOBAL) == 6


def test_restricted_sets_are_never_fetched():
    for name in ("mimic_cxr", "vindr_cxr", "ms_cxr", "chexpert", "padchest"):
        manifest = load_manifest(name)
        assert manifest.access in ("registration", "credentialed")
        assert not manifest.sources and not manifest.downloads


def test_known_bad_files_of_padchest():
    bad = load_manifest("padchest").known_bad
    assert len(set(bad)) == len(bad) == 21 and all(name.endswith(".png") for name in bad)
