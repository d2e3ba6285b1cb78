"""The transformer classifier: a tiny one, trained from scratch on sentences of our own."""

import json

import numpy as np
import pytest
from transformers import BertConfig, BertForSequenceClassification

from offclip.models import train_tokenizer
from offclip.text import NgramClassifier, SentenceClassifier, load_classifier
from offclip.text.transformer import FineTuning, TransformerClassifier
from tests.text.test_classifier import ABNORMAL, NORMAL

REPORTS = [NORMAL, [*NORMAL[:2], *ABNORMAL]] * 12
FLAGS = [True, False] * 12


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = train_tokenizer([*NORMAL, *ABNORMAL] * 5, length=24)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=32, pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def fitted(source):
    options = FineTuning(epochs=20, batch_size=16, learning_rate=2e-3, length=24)
    return TransformerClassifier.fit(REPORTS, FLAGS, source=source, options=options)


def test_learns_what_the_weak_labels_say(fitted):
    assert isinstance(fitted, SentenceClassifier)
    assert fitted.abnormal_probability(ABNORMAL).min() > 0.5
    assert fitted.abnormal_probability(NORMAL).max() < 0.5
    assert fitted.abnormal_probability([]).shape == (0,)


def test_the_same_seed_gives_the_same_model(source):
    options = FineTuning(epochs=1, learning_rate=1e-3)
    first, second = (
        TransformerClassifier.fit(REPORTS, FLAGS, source=source, options=options) for _ in range(2)
    )
    np.testing.assert_array_equal(
        first.abnormal_probability(NORMAL), second.abnormal_probability(NORMAL)
    )


def test_round_trip_of_both_kinds(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = load_classifier(tmp_path / "model")
    np.testing.assert_allclose(
        loaded.abnormal_probability(ABNORMAL), fitted.abnormal_probability(ABNORMAL), atol=1e-6
    )
    linear = NgramClassifier.fit(REPORTS, FLAGS)
    assert load_classifier(linear.save(tmp_path / "linear.json")) == linear


def test_a_classifier_needs_a_class_named_abnormal(fitted, tmp_path):
    folder = fitted.save(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": {"0": "A", "1": "B"}, "label2id": {"A": 0, "B": 1}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="id2label"):
        load_classifier(folder)


def test_no_model_no_classifier(tmp_path):
    with pytest.raises(ValueError, match="nothing there"):
        load_classifier(tmp_path / "none")
    with pytest.raises(ValueError, match=r"config\.json"):
        load_classifier(tmp_path)
    with pytest.raises(ValueError, match=r"config\.json"):
        TransformerClassifier.fit(REPORTS, FLAGS, source=tmp_path)
