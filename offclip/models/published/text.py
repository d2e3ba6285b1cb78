"""The published text side: cleaning, word pieces summed into words, 97 slots."""

import re
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase

from offclip.models.tokenizer import tokenize
from offclip.models.towers import Features

LAST_LAYERS = 4


def published_text(text: str) -> str:
    """A text as CARZero cleans it before the tokenizer.

    Sentences end at full stops and at numbers with one; words are lower-cased, and punctuation and
    what is not ASCII are taken away. **A sentence of one word disappears**: the prompt
    "Atelectasis" becomes empty, "there is atelectasis" stays.
    """
    sentences = [
        re.findall(r"\w+", sentence.replace("\ufffd\ufffd", " ").lower())
        for part in re.split(r"[0-9]+\.", text.replace("\n", " "))
        for sentence in part.split(".")
    ]
    words = [word.encode("ascii", "ignore").decode() for s in sentences if len(s) > 1 for word in s]
    return " ".join(word for word in words if word)


def published_tokens(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], length: int
) -> dict[str, Tensor]:
    """``input_ids`` and ``attention_mask`` of cleaned texts, cut after ``length`` tokens.

    Raises:
        ValueError: nothing is left of a text; the message names it.
    """
    cleaned = [published_text(text) for text in texts]
    for text, left in zip(texts, cleaned, strict=True):
        if not left:
            raise ValueError(
                f"texts: nothing is left of {text!r}, since the published code drops sentences of "
                "one word; write it as 'there is …'"
            )
    return tokenize(tokenizer, cleaned, length)


class PublishedTextTower(nn.Module):
    """BERT whose last four layers are summed, its word pieces as well, over a fixed 97 slots.

    As published: what follows [SEP] is zero, the pooled vector is the mean over all slots, these
    zeros included, and the fusion attends them. The published code walks through tokens in Python
    and waits for the device at each; here pieces are added by index, all at once.

    Args:
        config: of the BERT.
        length: slots.
    """

    def __init__(self, config: BertConfig, length: int):
        super().__init__()
        self.model = BertModel(config, add_pooling_layer=False)
        self.length = length
        self.register_buffer("continues", None, persistent=False)
        self.separator: int | None = None

    def use_vocabulary(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Learn from a tokenizer which tokens continue a word, and where a text ends.

        Raises:
            ValueError: it has more tokens than the weights, or no [SEP].
        """
        size = self.model.config.vocab_size
        if len(tokenizer) > size:
            raise ValueError(
                f"tokenizer: expected at most {size} tokens, as the weights have, got "
                f"{len(tokenizer)}; take the one that the model was trained with"
            )
        if tokenizer.sep_token_id is None:
            raise ValueError("tokenizer: expected a BERT tokenizer with a separator, got none")
        pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        self.continues = torch.zeros(size, dtype=torch.bool)
        self.continues[: len(pieces)] = torch.tensor([piece[:2] == "##" for piece in pieces])
        self.separator = int(tokenizer.sep_token_id)

    def forward(
        self, input_ids: Int[Tensor, "text token"], attention_mask: Int[Tensor, "text token"]
    ) -> Features:
        """Encode token ids; at most ``length`` tokens, which need not be padded to it."""
        if input_ids.shape[1] > self.length:
            raise ValueError(
                f"input_ids: expected at most {self.length} tokens, got {input_ids.shape[1]}"
            )
        states = self.model(input_ids, attention_mask=attention_mask, output_hidden_states=True)
        summed = sum(states.hidden_states[-LAST_LAYERS:])
        if self.continues is None or self.separator is None:
            raise ValueError(
                "tokenizer: needed to know which tokens continue a word; give it to load_published"
            )
        slots = (input_ids, self.continues, self.separator, self.length)
        words, pieces = (
            word_sums(each, *slots) for each in (summed, torch.ones_like(summed[..., :1]))
        )
        return Features(words.mean(dim=1), words, words=pieces.squeeze(2) > 0)


def word_sums(
    tokens: Float[Tensor, "text token dim"],
    input_ids: Int[Tensor, "text token"],
    continues: Bool[Tensor, " vocabulary"],
    separator: int,
    slots: int,
) -> Float[Tensor, "text slot dim"]:
    """The pieces of each word added up, all at once by index; zero after the separator.

    Args:
        tokens: of the word pieces.
        input_ids: which pieces they are.
        continues: for each piece of the vocabulary, whether it continues a word.
        separator: id of the piece that ends a text.
        slots: words of a text, at least as many as tokens.
    """
    ends = input_ids == separator
    inside: Bool[Tensor, "text token"] = ends.cumsum(dim=1) - ends.int() == 0
    starts = ~continues[input_ids] | ends
    slot = (starts.cumsum(dim=1) - 1).clamp(min=0)
    count = len(tokens) * slots
    first = torch.arange(0, count, slots, device=tokens.device)[:, None]
    row = torch.where(inside, first + slot, count)  # the last row takes what follows the separator
    words = tokens.new_zeros(count + 1, tokens.shape[2])
    return words.index_add(0, row.flatten(), tokens.flatten(0, 1))[:-1].unflatten(0, (-1, slots))
