"""Zero-shot scores: every image with every prompt, in a table keyed by names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from offclip.evaluation.picture_files import FilePictures
from offclip.imaging.resize import ImageRows
from offclip.models import PairModel
from offclip.models.towers import Features

Pictures: TypeAlias = UInt8[np.ndarray, "image side side"] | ImageRows | FilePictures


def check_words(model: PairModel, prompts: Sequence[str]) -> None:
    """Refuse prompts with a word that the model does not know: it takes all such words for one.

    Raises:
        ValueError: names the first prompt and its unknown words.
    """
    for prompt in prompts:
        if words := model.unknown_words(prompt):
            raise ValueError(
                f"prompts: the model's vocabulary has no {', '.join(map(repr, words))}, as in "
                f"{prompt!r}; write it in words of the texts that the model was trained on"
            )


def prompt_features(model: PairModel, prompts: Sequence[str]) -> Features:
    """What the text tower makes of prompts, on its device.

    A word that the tokenizer does not know is read as ``[UNK]``, see :func:`check_words`.

    Raises:
        ValueError: a prompt is longer than the model reads, and would be cut, or the tokenizer
            knows no word of it; the message names it.
    """
    for prompt, count in zip(prompts, model.token_counts(prompts), strict=True):
        if count > model.text_length:
            raise ValueError(
                f"prompts: expected at most {model.text_length} tokens, the model's limit, got "
                f"{count} in {prompt!r}; shorten it, or score its statements one by one"
            )
    tokens = model.tokenize(prompts)
    assert model.tokenizer is not None
    known = tokens["input_ids"] != model.tokenizer.unk_token_id
    for prompt, real, count in zip(prompts, known, tokens["attention_mask"], strict=True):
        if real[: int(count.sum())].sum() <= 2:
            raise ValueError(f"prompts: the tokenizer knows no word of {prompt!r}")
    device = next(model.parameters()).device
    return model.encode_texts(**{name: value.to(device) for name, value in tokens.items()})


def scores_of(
    model: PairModel,
    pictures: Pictures,
    texts: Features,
    *,
    batch_size: int = 128,
) -> Float[Tensor, "image text"]:
    """Mean score of both directions of pictures with texts that are encoded already."""
    rows = [
        model.head(model.encode_images(images), texts).mean.float().cpu()
        for images in picture_batches(model, pictures, batch_size)
    ]
    return torch.cat(rows)


def picture_batches(model: PairModel, pictures: Pictures, size: int) -> Iterator[Tensor]:
    """The model's input on its device, so many at a time, each read when its turn comes.

    Raises:
        ValueError: a size below 1.
    """
    check_batch_size(size)
    device = next(model.parameters()).device
    for start in range(0, len(pictures), size):
        part = torch.from_numpy(np.array(pictures[start : start + size]))
        yield model.prepare(part.to(device))


def check_batch_size(size: int) -> None:
    """Refuse a batch without images."""
    if size < 1:
        raise ValueError(f"batch_size: expected at least 1 image at once, got {size}")


@torch.no_grad()
def score_table(
    model: PairModel,
    pictures: Pictures,
    ids: Sequence[str],
    prompts: Sequence[str],
    *,
    batch_size: int = 128,
) -> pd.DataFrame:
    """Mean score of both directions; rows are image ids, columns are the prompts themselves.

    The model is put into eval mode. Pictures may lie on disk, as a memory map.

    Raises:
        ValueError: repeated ids or prompts, another number of ids than pictures, or a prompt that
            is too long or of which the tokenizer knows no word.
    """
    _check_names("ids", ids)
    _check_names("prompts", prompts)
    if len(ids) != len(pictures):
        raise ValueError(f"ids: expected {len(pictures)}, one for each picture, got {len(ids)}")
    model.eval()
    texts = prompt_features(model, prompts)
    scores = scores_of(model, pictures, texts, batch_size=batch_size)
    return pd.DataFrame(scores.numpy(), index=list(ids), columns=list(prompts))


def positive_prompt(phrase: str) -> str:
    """``There is …``, as the training prompts say it."""
    return f"there is {phrase}"


def negative_prompt(phrase: str) -> str:
    """``There is no …``, as the training prompts say it."""
    return f"there is no {phrase}"


def class_scores(table: pd.DataFrame, phrases: Mapping[str, str], *, rule: str) -> pd.DataFrame:
    """Scores of the classes from the scores of the prompts, columns by class name.

    Args:
        table: of :func:`score_table`.
        phrases: class name → the words after "there is".
        rule: ``"pos"``: the positive prompt's score; ``"pnc"``: minus the negative prompt's.

    Raises:
        ValueError: an unknown rule.
        KeyError: a prompt is not in the table.
    """
    if rule not in ("pos", "pnc"):
        raise ValueError(f"rule: expected 'pos' or 'pnc', got {rule!r}")
    columns = {}
    for name, phrase in phrases.items():
        columns[name] = table[positive_prompt(phrase)]
        if rule == "pnc":
            columns[name] = columns[name] - table[negative_prompt(phrase)]
    return pd.DataFrame(columns)


def _check_names(name: str, values: Sequence[str]) -> None:
    if len(set(values)) != len(values):
        repeated = next(value for value in values if list(values).count(value) > 1)
        raise ValueError(f"{name}: expected distinct values, {repeated!r} is there more than once")
