"""Zero-shot scores: every image with every prompt, in a table keyed by names.

The one way from images and prompts to scores, for every model and dataset: images in memory, in a
memory map, rendered ones and files alike.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from offclip.evaluation.image_files import ImageFiles
from offclip.imaging.resize import ImageRows
from offclip.models import PairModel
from offclip.models.towers import Features

Images: TypeAlias = UInt8[np.ndarray, "image side side"] | ImageRows | ImageFiles


def score_table(
    model: PairModel,
    images: Images,
    ids: Sequence[str],
    prompts: Sequence[str],
    *,
    batch_size: int = 128,
) -> pd.DataFrame:
    """Mean score of both directions; rows are image ids, columns are the prompts themselves.

    The model is put into eval mode. Images may lie on disk, as a memory map or as files; a file
    that cannot be read has no row.

    Raises:
        ValueError: repeated ids or prompts, another number of ids than images, or a prompt that
            is too long or of which the tokenizer knows no word.
    """
    return pd.concat(score_parts(model, images, ids, prompts, batch_size=batch_size))


def score_parts(
    model: PairModel,
    images: Images,
    ids: Sequence[str],
    prompts: Sequence[str],
    *,
    batch_size: int = 128,
    part_size: int | None = None,
) -> Iterator[pd.DataFrame]:
    """The table of :func:`score_table` in parts of so many images each; texts are encoded once."""
    _check_names("ids", ids)
    _check_names("prompts", prompts)
    if len(ids) != len(images):
        raise ValueError(f"ids: expected {len(images)}, one for each image, got {len(ids)}")
    model.eval()
    with torch.no_grad():
        texts = prompt_features(model, prompts)
    size = part_size or max(len(ids), 1)
    for part in (slice(start, start + size) for start in range(0, len(ids), size)):
        scores = _mean_scores(model, image_batches(model, images, batch_size, part), texts)
        table = pd.DataFrame(scores.numpy(), list(ids[part]), list(prompts))
        refused = images.refused if isinstance(images, ImageFiles) else ()
        yield table[~table.index.isin(list(refused))]


@torch.no_grad()
def _mean_scores(
    model: PairModel, batches: Iterator[Tensor], texts: Features
) -> Float[Tensor, "image text"]:
    return torch.cat([
        model.head(model.encode_images(batch), texts).mean.float().cpu() for batch in batches
    ])  # fmt: skip


def image_batches(
    model: PairModel, images: Images, size: int, part: slice = slice(None)
) -> Iterator[Tensor]:
    """The model's input on its device, so many at a time, each read when its turn comes.

    Raises:
        ValueError: a size below 1.
    """
    check_batch_size(size)
    device = next(model.parameters()).device
    first, last, _ = part.indices(len(images))
    for start in range(first, last, size):
        batch = torch.from_numpy(np.array(images[start : min(start + size, last)]))
        yield model.prepare(batch.to(device))


def check_batch_size(size: int) -> None:
    """Refuse a batch without images."""
    if size < 1:
        raise ValueError(f"batch_size: expected at least 1 image at once, got {size}")


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
    repeated = pd.Index(values)[pd.Index(values).duplicated()]
    if len(repeated):
        raise ValueError(
            f"{name}: expected distinct values, {repeated[0]!r} is there more than once"
        )
