"""A word tokenizer whose vocabulary is counted on the training texts."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]"}
_AT_ONCE = 1000  # texts whose tokens are in memory together when they are counted


def train_tokenizer(
    texts: Iterable[str], *, vocabulary: int = 2000, length: int = 32
) -> PreTrainedTokenizerFast:
    """Take the most frequent lower-cased words as vocabulary; the rest is ``[UNK]``.

    Whole words, since the order in which the WordPiece trainer breaks ties changes from run to run,
    and the same texts have to give the same tokenizer.

    Args:
        texts: training texts only: words of other splits must not leak into the vocabulary.
        vocabulary: its largest size; words seen once are left out.
        length: longest text in tokens; longer ones are cut.

    Raises:
        ValueError: there are no texts.
    """
    splitter = pre_tokenizers.BertPreTokenizer()
    counts = Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(text.lower()))
    if not counts:
        raise ValueError("texts: expected at least one text to learn a vocabulary from, got none")
    frequent = sorted((-count, word) for word, count in counts.items() if count > 1)
    words = [*SPECIAL.values(), *(word for _, word in frequent)][:vocabulary]
    ids = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=SPECIAL["unk"]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = splitter
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, ids[name]) for name in (SPECIAL["cls"], SPECIAL["sep"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=length,
        **{f"{role}_token": token for role, token in SPECIAL.items()},
    )


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], length: int | None = None
) -> dict[str, Tensor]:
    """``input_ids`` and ``attention_mask`` of shape (texts, longest), padded on the right.

    Texts of more than ``length`` tokens are cut; default: the tokenizer's own limit.
    """
    encoded = tokenizer(
        list(texts), padding=True, truncation=True, max_length=length, return_tensors="pt"
    )
    return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}


def unknown_words(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    """Words of a text, split at blanks, that the tokenizer has no tokens for."""
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return []
    return [
        word
        for word in dict.fromkeys(text.split())
        if unknown in tokenizer(word, add_special_tokens=False, verbose=False)["input_ids"]
    ]


def token_counts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[int]:
    """Tokens of each text before any is cut, special ones included."""
    parts = (texts[start : start + _AT_ONCE] for start in range(0, len(texts), _AT_ONCE))
    return [len(ids) for p in parts for ids in tokenizer(list(p), verbose=False)["input_ids"]]
