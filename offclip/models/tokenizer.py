"""A WordPiece tokenizer trained on the training texts."""

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]"}


def train_tokenizer(
    texts: Iterable[str], *, vocabulary: int = 2000, length: int = 32
) -> PreTrainedTokenizerFast:
    """Learn a lower-cased WordPiece vocabulary; the same texts give the same tokenizer.

    Args:
        texts: training texts only: words of other splits must not leak into the vocabulary.
        vocabulary: its largest size.
        length: longest text in tokens; longer ones are cut.

    Raises:
        ValueError: there are no texts.
    """
    texts = sorted(set(texts))
    if not texts:
        raise ValueError("texts: expected at least one text to learn a vocabulary from, got none")
    tokenizer = Tokenizer(models.WordPiece(unk_token=SPECIAL["unk"]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL.values()),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[
            (name, tokenizer.token_to_id(name)) for name in (SPECIAL["cls"], SPECIAL["sep"])
        ],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=length,
        **{f"{role}_token": token for role, token in SPECIAL.items()},
    )


def tokenize(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> dict[str, Tensor]:
    """``input_ids`` and ``attention_mask`` of shape (texts, longest), padded on the right."""
    encoded = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}
