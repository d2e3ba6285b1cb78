"""Is a sentence normal or abnormal? A fine-tuned transformer, beside the linear model.

Any sequence classifier of ``transformers`` in a local folder will do, weights and tokenizer
together; nothing is fetched.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

from offclip.text.weak_labels import sentence_labels

LABELS = {0: "normal", 1: "abnormal"}


@dataclass(frozen=True)
class FineTuning:
    """How the transformer is trained.

    Attributes:
        epochs: passes over the sentences, at least 1.
        batch_size: sentences a step.
        learning_rate: of AdamW, falling linearly to 0.
        length: longest sentence in tokens; what is longer is cut.
        seed: of the new output layer and of the order.
    """

    epochs: int = 2
    batch_size: int = 32
    learning_rate: float = 3e-5
    length: int = 96
    seed: int = 0


class TransformerClassifier:
    """A sequence classifier with a class named "abnormal"."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Wrap a model and its tokenizer.

        Raises:
            ValueError: no class, or more than one, is named "abnormal" (in any case).
        """
        names = {int(place): str(name) for place, name in model.config.id2label.items()}
        found = [place for place, name in names.items() if name.lower() == "abnormal"]
        if len(found) != 1:
            raise ValueError(
                f"model: expected one class named 'abnormal', got {list(names.values())}; "
                "name the classes in id2label of its config.json"
            )
        self._model, self._tokenizer, self._abnormal = model.eval(), tokenizer, found[0]

    @classmethod
    def fit(
        cls,
        reports: Sequence[Sequence[str]],
        is_normal: Sequence[bool],
        *,
        source: str | Path,
        options: FineTuning | None = None,
    ) -> "TransformerClassifier":
        """Fine-tune on the weak labels of training reports.

        Args:
            reports: sentences of each report.
            is_normal: a flag for each report.
            source: local folder of a model and its tokenizer; its output layer is made anew.
            options: of the training.

        Raises:
            ValueError: the flags are not one a report, or ``source`` is no such folder.
        """
        options = options or FineTuning()
        texts, labels = sentence_labels(reports, is_normal)
        torch.manual_seed(options.seed)
        model, tokenizer = _read(source, len(LABELS))
        rows = [
            {**tokenizer(text, truncation=True, max_length=options.length), "labels": int(label)}
            for text, label in zip(texts, labels, strict=True)
        ]
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder, num_train_epochs=options.epochs, learning_rate=options.learning_rate,
                per_device_train_batch_size=options.batch_size, seed=options.seed,
                report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
                dataloader_pin_memory=False,
            )  # fmt: skip
            collate = DataCollatorWithPadding(tokenizer)
            Trainer(model, arguments, train_dataset=rows, data_collator=collate).train()
        return cls(model, tokenizer)

    @torch.inference_mode()
    def abnormal_probability(self, sentences: Sequence[str]) -> Float[np.ndarray, " sentences"]:
        """Return the probability that each sentence states something abnormal, in [0, 1]."""
        values = []
        for start in range(0, len(sentences), 64):
            batch = self._tokenizer(
                list(sentences[start : start + 64]),
                padding=True, truncation=True, return_tensors="pt",
            ).to(self._model.device)  # fmt: skip
            probability = self._model(**batch).logits.double().softmax(dim=1)
            values.append(probability[:, self._abnormal].cpu().numpy())
        return np.concatenate(values) if values else np.zeros(0)

    def save(self, folder: str | Path) -> Path:
        """Write model (safetensors) and tokenizer to a folder; return it."""
        self._model.save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path) -> "TransformerClassifier":
        """Read a folder written by ``save``, or any local sequence classifier with named classes.

        This is also the slot for a published classifier, once its weights are in such a folder.

        Raises:
            ValueError: there is no such model, or none of its classes is named "abnormal".
        """
        return cls(*_read(folder, None))


def _read(
    folder: str | Path, classes: int | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    named = {} if classes is None else {"num_labels": classes, "id2label": LABELS}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        model = AutoModelForSequenceClassification.from_pretrained(
            str(folder), local_files_only=True, ignore_mismatched_sizes=bool(named), **named
        )
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{folder}: expected a local folder with a transformers model and its tokenizer "
            f"(config.json, model.safetensors, tokenizer.json), got none that loads ({error})"
        ) from error
    return model, tokenizer
