"""A model whose right answer is known: it recognises pictures and says what it was told."""

import zlib
from functools import cache
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS
from offclip.imaging import read_radiograph
from offclip.imaging.resize import padded_square
from offclip.models import Features, PairModel
from offclip.scores import PairScores
from offclip.study.benchmark import ModelName, Options, Scorer, evaluate_published_set
from offclip.study.benchmark.sets import PUBLISHED, with_normality
from tests.copies import SIZE, synthetic_copy

FEW = Options(min_positives=2, resamples=20)
NAME = ModelName("a model")


@cache
def copy(dataset):
    """The synthetic copy of a set and its rows; no test changes either."""
    root = synthetic_copy(dataset, studies=60)
    rows = with_normality(READERS[dataset](root)[0])
    return root, rows[rows["reason"] == ""].reset_index(drop=True)


def evaluated(dataset, folder, *, options=FEW, **settings):
    """What a model that knows every answer gets; settings as for :func:`oracle`."""
    root, rows = copy(dataset)
    scorer = oracle(dataset, root, rows, **settings)
    return evaluate_published_set(dataset, root, scorer, NAME, options=options, folder=folder)


def values(found, *metrics):
    """Values by split, metric and detail, of metrics that begin so."""
    return {
        (r.split, r.metric, r.detail): r.value
        for r in found.records
        if r.metric.startswith(metrics)
    }


def square(grey):
    return padded_square(grey, SIZE)


class Head(nn.Module):
    """Scores and attention that were told beforehand."""

    def __init__(self, owner):
        super().__init__()
        self.owner = [owner]

    def forward(self, images, texts):
        owner = self.owner[0]
        names = [owner.known.get(int(key)) for key in images.pooled[:, 0]]
        prompts = [owner.prompts[int(number)] for number in texts.pooled[:, 0]]
        rows = [[owner.truth(name, p) if name else 0.0 for p in prompts] for name in names]
        scores = torch.tensor(rows, dtype=torch.float64).reshape(len(names), len(prompts))
        return PairScores(scores, scores.T)

    def attention(self, images, texts):
        owner = self.owner[0]
        names = [owner.known[int(key)] for key in images.pooled[:, 0]]
        prompts = [owner.prompts[int(number)] for number in texts.pooled[:, 0]]
        maps = torch.zeros(1, len(names), len(prompts), 1 + owner.grid**2)
        for i, name in enumerate(names):
            for t, prompt in enumerate(prompts):
                maps[0, i, t, 1 + owner.looks_at(name, prompt)] = 1.0
        return maps, torch.zeros(1, len(prompts), len(names), 2)


class Oracle(PairModel):
    """Takes the same way as every model, from pictures and tokens to scores.

    Args:
        truth: (image path, prompt) → score.
        looks_at: (image path, prompt) → cell of the attention's peak.
        known: checksum of a picture → image path.
        name: tells one from another, as weights do.
    """

    def __init__(
        self, truth, known, *, name="oracle", size=SIZE, margin=0, grid=8, looks_at=None, unknown=()
    ):
        super().__init__()
        self.truth, self.known, self.looks_at = truth, known, looks_at or (lambda image, p: 0)
        self.picture_size, self.margin, self.grid = size, margin, grid
        self.unknown = unknown
        self.weight = nn.Parameter(torch.tensor(float(zlib.crc32(name.encode()))))
        self.tokenizer = SimpleNamespace(unk_token_id=0)
        self.prompts, self.encoded, self.seen = [], 0, 0
        self.head = Head(self)

    def tokenize(self, texts):
        self.prompts += [text for text in texts if text not in self.prompts]
        ids = torch.tensor([[1, 2, 3 + self.prompts.index(text)] for text in texts])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    text_length = 3

    def unknown_words(self, text):
        return [word for word in text.split() if word in self.unknown]

    def token_counts(self, texts):
        return [3] * len(texts)

    def encode_texts(self, input_ids, attention_mask):
        self.encoded += len(input_ids)
        pooled = input_ids[:, 2:].double() - 3
        return Features(pooled, pooled[:, None])

    def prepare(self, pictures):
        self.seen += len(pictures)
        keys = [float(zlib.crc32(np.ascontiguousarray(p).tobytes())) for p in pictures.numpy()]
        return torch.tensor(keys, dtype=torch.float64).reshape(-1, 1, 1, 1)

    def encode_images(self, images):
        pooled = images[:, :, 0, 0]
        return Features(pooled, pooled[:, None])


def known_pictures(root, rows, how=square):
    """Checksum of each picture → its image; pictures that cannot be read are not known.

    Only images of one study may look alike.
    """
    found, study = {}, dict(zip(rows["image"], rows["study_id"], strict=True))
    for name in rows["image"]:
        try:
            picture = how(read_radiograph(root / name))
        except (ValueError, OSError):
            continue
        key = zlib.crc32(np.ascontiguousarray(picture).tobytes())
        assert study[found.setdefault(key, name)] == study[name], f"{name}: {found[key]}"
    return found


def answers(dataset, rows, *, published=False):
    """(image, prompt) → 1 where the prompt is true of the image, by the labels of the set.

    Where both protocols ask the same words of different labels, ``published`` decides.
    """
    manifest, rules = load_manifest(dataset), PUBLISHED.get(dataset)
    labels = dict(zip(rows["image"], rows["labels"], strict=True))
    normal = dict(zip(rows["image"], rows["is_normal"], strict=True))
    ours, theirs = {}, {}
    for name, phrase in manifest.prompts.items():
        if name != manifest.normal_label:
            ours.setdefault(f"there is {phrase}", []).append(name)
    for name, prompt in (rules.prompts(rows[rows["split"] == "test"]) if rules else {}).items():
        theirs.setdefault(prompt, []).append(rules.prefix + name)

    def truth(image, prompt):
        for asked in (
            (theirs, ours) if published else (ours, {} if normal_words(prompt) else theirs)
        ):
            if prompt in asked:
                return float(any(labels[image].get(name) == 1 for name in asked[prompt]))
        return float(normal[image])

    def normal_words(prompt):
        return prompt in manifest.normal_prompts or prompt.startswith("there is no ")

    return truth


def oracle(dataset, root, rows, *, published=False, change=float, name="perfect", **settings):
    """A scorer that knows every answer; ``change`` is applied to each."""
    truth = answers(dataset, rows, published=published)
    known = known_pictures(root, rows)
    model = Oracle(lambda image, prompt: change(truth(image, prompt)), known, name=name, **settings)
    return Scorer(model, square, batch_size=16)
