"""What a training run is: every choice in one frozen dataclass."""

from dataclasses import dataclass

CHOICES = {
    "loss": ("infonce", "offdiag_bce", "offdiag_soft", "offclip"),
    "form": ("bce", "soft_ce"),
    "balance": ("none", "classes"),
    "optimizer": ("adamw", "adam"),
    "schedule": ("cosine", "plateau"),
    "precision": ("float32", "bfloat16"),
    "decayed": ("all", "weights"),
    "scale_bound": ("forward", "step"),
}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run.

    Attributes:
        loss: ``infonce`` (CLIP's), ``offdiag_bce`` or ``offdiag_soft`` (the off-diagonal term
            alone, in either form), ``offclip`` (off-diagonal term + abnormal InfoNCE).
        form: of ``offclip``'s off-diagonal term, ``bce`` or ``soft_ce``.
        balance: of the off-diagonal term, ``none`` or ``classes``.
        off_diagonal_weight: factor of ``offclip``'s off-diagonal term.
        abnormal_weight: factor of ``offclip``'s abnormal InfoNCE.
        tier_words: factor of TIER's entropy over the patches of each word, at least 0.
        tier_patches: factor of its entropy over the words of each patch, at least 0.
        tier_temperature: of both softmaxes, positive; TIER's own is 1, where little can move.
        steps: optimiser steps: the budget, the same for variants that are compared.
        batch_size: studies of a batch, over all processes; every other one of them is a negative
            or a positive.
        accumulate: batches whose gradients make one step. Each has its own negatives: a larger
            batch is something else.
        optimizer: ``adamw``, or ``adam``, whose weight decay is part of the gradient.
        learning_rate: after the warm-up.
        schedule: ``cosine`` goes down to zero at the last step; ``plateau`` halves the learning
            rate when ``select`` has not risen for more than ``patience`` validations.
        patience: of the plateau, in validations.
        warmup: share of the steps in a linear warm-up, in [0, 1).
        weight_decay: of the optimizer.
        decayed: ``all`` parameters, or ``weights``: biases, norms and the scale are left out.
        scale_bound: where the scale of a cosine head is kept at 100 or below: in the ``forward``
            pass, which gives a scale above it no gradient, so that it stays there; or after each
            ``step`` (CLIP's).
        clip_norm: largest gradient norm.
        precision: of the towers and the head, ``float32`` (without TensorFloat-32) or ``bfloat16``
            (autocast). Scores and losses leave autocast in float32.
        ema: decay of an exponential moving average of the weights, which is then what is validated
            and kept; 0: none.
        pairs_at_once: image-text pairs that a cross-attention head evaluates at a time; more pairs
            go in chunks, which the backward pass computes once more. Default: as many as fit, see
            ``offclip.models.heads.CrossAttentionHead``.
        validate_every: steps between validations; the best checkpoint is one of these.
        save_every: steps between checkpoints to go on from; 0: at validations only.
        select: the validation metric that chooses the checkpoint, higher is better. Default: the
            mean AUC of the abnormal classes, as published models are chosen; normality has no say.
        seed: of weights, batches and dropout.
    """

    loss: str = "offclip"
    form: str = "soft_ce"
    balance: str = "none"
    off_diagonal_weight: float = 1.0
    abnormal_weight: float = 1.0
    tier_words: float = 0.0
    tier_patches: float = 0.0
    tier_temperature: float = 0.1
    steps: int = 480
    batch_size: int = 64
    accumulate: int = 1
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    patience: int = 5
    warmup: float = 0.1
    weight_decay: float = 0.05
    decayed: str = "all"
    scale_bound: str = "forward"
    clip_norm: float = 1.0
    precision: str = "float32"
    ema: float = 0.0
    pairs_at_once: int | None = None
    validate_every: int = 60
    save_every: int = 0
    select: str = "abnormal_auc_pos"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name}: expected one of {', '.join(choices)}; got {getattr(self, name)!r}"
                )
        lowest = {
            "steps": 1, "batch_size": 2, "validate_every": 1, "learning_rate": 1e-12,
            "tier_words": 0, "tier_patches": 0, "tier_temperature": 1e-3,
            "accumulate": 1, "patience": 0, "pairs_at_once": 1, "save_every": 0, "ema": 0,
        }  # fmt: skip
        for name, low in lowest.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise ValueError(f"{name}: expected at least {low}, got {value}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup: expected a share in [0, 1), got {self.warmup}")
        if self.ema >= 1:
            raise ValueError(f"ema: expected a decay in [0, 1), got {self.ema}")

    @property
    def tier(self) -> bool:
        """Whether TIER's regulariser takes part."""
        return self.tier_words > 0 or self.tier_patches > 0
