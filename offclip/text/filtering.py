"""Which prompts of a report are kept for training: the filter of OFF-CLIP.

Abnormal reports keep their abnormal prompts, normal reports keep all of theirs (the paper's figure
shows the first; the second is inferred, and an option of the caller).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SentenceLabel = Literal["normal", "abnormal", "uncertain"]


@dataclass(frozen=True)
class FilterPolicy:
    """What is abnormal, and what happens to the rest of an abnormal report.

    Attributes:
        threshold: probability from which a prompt is abnormal, in [0, 1].
        margin: a prompt is uncertain when its probability is closer to the threshold than this;
            0 makes none uncertain.
        on_uncertain: "keep" or "drop" the uncertain prompts of an abnormal report.
        on_empty: an abnormal report of which nothing is kept: "drop" leaves it without text,
            "keep_all" keeps all of its prompts.
    """

    threshold: float = 0.5
    margin: float = 0.0
    on_uncertain: Literal["keep", "drop"] = "keep"
    on_empty: Literal["drop", "keep_all"] = "drop"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(
                f"threshold: expected a probability in [0, 1], got {self.threshold}; "
                "pass probabilities, not logits"
            )
        if not 0 <= self.margin <= 0.5:
            raise ValueError(f"margin: expected a number in [0, 0.5], got {self.margin}")
        if self.on_uncertain not in ("keep", "drop"):
            raise ValueError(f"on_uncertain: expected 'keep' or 'drop', got {self.on_uncertain!r}")
        if self.on_empty not in ("drop", "keep_all"):
            raise ValueError(f"on_empty: expected 'drop' or 'keep_all', got {self.on_empty!r}")

    def label(self, probability: float) -> SentenceLabel:
        """Name a probability of "abnormal"."""
        if abs(probability - self.threshold) < self.margin:
            return "uncertain"
        return "abnormal" if probability >= self.threshold else "normal"

    def keeps(self, probability: float) -> bool:
        """Whether an abnormal report keeps a prompt of this probability."""
        label = self.label(probability)
        return label == "abnormal" or (label == "uncertain" and self.on_uncertain == "keep")


def filter_prompts(
    prompts: Sequence[str],
    prompt_abnormal: Sequence[float],
    is_normal: bool,
    policy: FilterPolicy | None = None,
) -> tuple[list[str], list[str]]:
    """Split the prompts of one report into those kept for training and those left out.

    Args:
        prompts: the prompts of one report.
        prompt_abnormal: probability that each prompt states something abnormal, in [0, 1].
        is_normal: whether the report is normal; then all prompts are kept.
        policy: what an abnormal report keeps; the default one if None.

    Returns:
        Kept and dropped prompts, each in their order; together they are ``prompts``.

    Raises:
        ValueError: lengths differ, or a probability lies outside [0, 1] or is NaN.
    """
    policy = policy or FilterPolicy()
    if len(prompts) != len(prompt_abnormal):
        raise ValueError(
            f"prompt_abnormal: expected {len(prompts)} values, one a prompt, got "
            f"{len(prompt_abnormal)}; classify the prompts again"
        )
    if bad := [value for value in prompt_abnormal if not 0 <= value <= 1]:
        raise ValueError(
            f"prompt_abnormal: expected values in [0, 1], got {bad[0]}; "
            "pass probabilities, not logits"
        )
    chosen = [is_normal or policy.keeps(value) for value in prompt_abnormal]
    if not any(chosen) and policy.on_empty == "keep_all":
        return list(prompts), []
    kept = [prompt for prompt, keep in zip(prompts, chosen, strict=True) if keep]
    dropped = [prompt for prompt, keep in zip(prompts, chosen, strict=True) if not keep]
    return kept, dropped
