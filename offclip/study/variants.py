"""The variants that the book compares, by the names that evidence records use."""

import dataclasses
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from offclip.data.tables import nearest
from offclip.models import ModelConfig, PublishedConfig
from offclip.training import TrainConfig


@dataclass(frozen=True)
class Variant:
    """A loss, with or without the sentence filter.

    Attributes:
        loss: as in :class:`offclip.training.TrainConfig`.
        filtered: normal statements are taken out of abnormal reports before training.
        tier: factor of both of TIER's entropies, unless the run sets its own.
    """

    loss: str
    filtered: bool
    tier: float = 0.0


ARCHITECTURES: dict[str, type[ModelConfig] | type[PublishedConfig]] = {
    "small": ModelConfig,
    "published": PublishedConfig,
}

VARIANTS = {
    "infonce": Variant("infonce", False),
    "infonce+filter": Variant("infonce", True),
    "offdiag_bce": Variant("offdiag_bce", False),
    "offdiag_bce+filter": Variant("offdiag_bce", True),
    "offdiag_soft": Variant("offdiag_soft", False),
    "offdiag_soft+filter": Variant("offdiag_soft", True),
    "offclip": Variant("offclip", True),
    "infonce+filter+tier": Variant("infonce", True, tier=0.1),
    "offclip+tier": Variant("offclip", True, tier=0.1),
}


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides the outcome of one run.

    Attributes:
        variant: a name of :data:`VARIANTS`.
        prompting: ``prompted`` ("there is …" sentences) or ``raw`` report sentences.
        threshold: probability from which a sentence counts as abnormal, for the filter.
        filter_errors: share of the filter's decisions turned round at random, in [0, 1].
        studies_kept: share of the training studies that take part, in (0, 1]; which ones, the
            training seed draws.
        normals_kept: share of the normal ones among them, in (0, 1].
        draws: different renderings of each training study; an epoch takes the next.
        augment: random views of the pictures, made on the device: ``none``, or ``published``
            (:class:`offclip.training.Augmentation`), which pictures from files need.
        init: weights to start from: a published checkpoint, or the folder of a saved model.
            Default: drawn by the seed.
        tokenizer: a BERT tokenizer's folder or ``vocab.txt``, where ``init`` has none beside it.
            Default: a vocabulary of the training texts.
        model: sizes and head; of the published architecture, a vocabulary of 0 is the tokenizer's.
        train: optimiser, budget and seed; its ``loss`` is the variant's.
    """

    variant: str
    prompting: str = "prompted"
    threshold: float = 0.5
    filter_errors: float = 0.0
    studies_kept: float = 1.0
    normals_kept: float = 1.0
    draws: int = 3
    augment: str = "none"
    init: str = ""
    tokenizer: str = ""
    model: ModelConfig | PublishedConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ValueError(
                f"variant: expected one of {', '.join(VARIANTS)}; got {self.variant!r}"
            )
        if self.prompting not in ("prompted", "raw"):
            raise ValueError(f"prompting: expected 'prompted' or 'raw', got {self.prompting!r}")
        if self.prompting == "raw" and VARIANTS[self.variant].filtered:
            raise ValueError(
                f"prompting: the filter judges prompts, {self.variant!r} needs prompting='prompted'"
            )
        if not 0 <= self.filter_errors <= 1:
            raise ValueError(f"filter_errors: expected a share in [0, 1], got {self.filter_errors}")
        for name in ("studies_kept", "normals_kept"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a share in (0, 1], got {getattr(self, name)}")
        if self.augment not in ("none", "published"):
            raise ValueError(f"augment: expected 'none' or 'published', got {self.augment!r}")
        if self.draws < 1:
            raise ValueError(f"draws: expected at least 1, got {self.draws}")
        variant = VARIANTS[self.variant]
        chosen: dict[str, Any] = {"loss": variant.loss}
        if self.train.tier and not variant.tier:
            raise ValueError(
                f"tier_words, tier_patches: expected 0 for {self.variant!r}; take a variant with "
                "'+tier' in its name"
            )
        if variant.tier and not self.train.tier:
            chosen |= {"tier_words": variant.tier, "tier_patches": variant.tier}
        object.__setattr__(self, "train", replace(self.train, **chosen))

    @property
    def name(self) -> str:
        """The variant, and behind a comma the setting."""
        return f"{self.variant}, {self.setting}" if self.setting else self.variant

    @property
    def setting(self) -> str | None:
        """What differs from the default, as evidence names it, or None."""
        weights = (self.train.off_diagonal_weight, self.train.abnormal_weight)
        unusual = {
            f"{self.filter_errors:.0%} filter errors": self.filter_errors > 0,
            f"score bias {_score_bias(self.model) or 0:g}": _score_bias(self.model) is not None,
            "published architecture": isinstance(self.model, PublishedConfig),
            f"from {Path(self.init).name}": bool(self.init),
            "augmented": self.augment != "none",
            f"weights {weights[0]:g} and {weights[1]:g}": weights != (1.0, 1.0),
            f"{self.studies_kept:.0%} of studies": self.studies_kept < 1,
            f"{self.normals_kept:.0%} of normals": self.normals_kept < 1,
            f"form {self.train.form}": self.train.form != TrainConfig.form,
            f"balance {self.train.balance}": self.train.balance != TrainConfig.balance,
        }
        return ", ".join(name for name, is_so in unusual.items() if is_so) or None


def _score_bias(sizes: ModelConfig | PublishedConfig) -> float | None:
    return sizes.score_bias if isinstance(sizes, ModelConfig) else None


def run_config(
    variant: str, *, head: str, seed: int, architecture: str = "small", **overrides: Any
) -> RunConfig:
    """A configuration from flat overrides of the model's, the training's and its own settings.

    Args:
        variant: a name of :data:`VARIANTS`.
        head: of the small architecture; the published one has ``cross_attention``.
        seed: of weights, batches and dropout.
        architecture: ``small``, or ``published`` (ViT-B/16, BERT-base, four layers of fusion).
        **overrides: fields of ``ModelConfig`` or ``PublishedConfig``, ``TrainConfig`` and
            ``RunConfig``.

    Raises:
        ValueError: an unknown override; the message names the nearest known one.
    """
    parts: dict[str, dict[str, Any]] = {"model": {}, "train": {"seed": seed}, "own": {}}
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"architecture: expected one of {', '.join(ARCHITECTURES)}; got {architecture!r}"
        )
    if architecture == "small":
        parts["model"]["head"] = head
    elif head == "cross_attention":
        parts["model"]["vocabulary"] = 0
    else:
        raise ValueError(f"head: the published architecture has cross_attention, not {head!r}")
    sizes = ARCHITECTURES[architecture]
    kinds: dict[str, Any] = {"model": sizes, "train": TrainConfig, "own": RunConfig}
    known = {f.name: part for part, kind in kinds.items() for f in dataclasses.fields(kind)}
    for name, value in overrides.items():
        if name not in known or name in ("model", "train", "loss"):
            raise ValueError(f"unknown setting {name!r}{nearest(name, known)}")
        parts[known[name]][name] = tuple(value) if isinstance(value, list) else value
    return RunConfig(
        variant,
        model=sizes(**parts["model"]),
        train=TrainConfig(**parts["train"]),
        **parts["own"],
    )
