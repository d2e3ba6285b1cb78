"""Zero-shot scores: every image with every prompt, in a table keyed by names."""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from offclip.models import ImageTextModel, tokenize


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> dict[str, Tensor]:
    """``input_ids`` and ``attention_mask`` of prompts.

    Raises:
        ValueError: the tokenizer knows no word of a prompt; the message names it.
    """
    tokens = tokenize(tokenizer, prompts)
    known = tokens["input_ids"] != tokenizer.unk_token_id
    for prompt, real, count in zip(prompts, known, tokens["attention_mask"], strict=True):
        if real[: int(count.sum())].sum() <= 2:
            raise ValueError(f"prompts: the tokenizer knows no word of {prompt!r}")
    return tokens


@torch.no_grad()
def score_table(
    model: ImageTextModel,
    tokenizer: PreTrainedTokenizerBase,
    images: Float[Tensor, "image 1 height width"],
    ids: Sequence[str],
    prompts: Sequence[str],
    *,
    batch_size: int = 128,
) -> pd.DataFrame:
    """Mean score of both directions; rows are image ids, columns are the prompts themselves.

    The model is put into eval mode.

    Raises:
        ValueError: repeated ids or prompts, another number of ids than images, or a prompt of which
            the tokenizer knows no word.
    """
    _check_names("ids", ids)
    _check_names("prompts", prompts)
    if len(ids) != len(images):
        raise ValueError(f"ids: expected {len(images)}, one for each image, got {len(ids)}")
    device = next(model.parameters()).device
    model.eval()
    tokens = prompt_tokens(tokenizer, prompts)
    texts = model.encode_texts(**{name: value.to(device) for name, value in tokens.items()})
    rows = [
        model.head(model.encode_images(part.to(device)), texts).mean.float().cpu()
        for part in images.split(batch_size)
    ]
    return pd.DataFrame(torch.cat(rows).numpy(), index=list(ids), columns=list(prompts))


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
