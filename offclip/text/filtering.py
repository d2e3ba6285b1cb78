"""Which prompts of a report are kept for training: the filter of OFF-CLIP.

Abnormal reports keep their abnormal prompts, normal reports keep all of theirs (the paper's figure
shows the first; the second is inferred, and an option of the caller). Imports nothing of the
package.
"""

from collections.abc import Sequence
from typing import Literal

OnEmpty = Literal["drop", "keep_all"]


def filter_prompts(
    prompts: Sequence[str],
    prompt_abnormal: Sequence[float],
    is_normal: bool,
    *,
    threshold: float = 0.5,
    on_empty: OnEmpty = "drop",
) -> tuple[list[str], list[str]]:
    """Split the prompts of one report into those kept for training and those left out.

    Args:
        prompts: the prompts of one report.
        prompt_abnormal: probability that each prompt states something abnormal, in [0, 1].
        is_normal: whether the report is normal; then all prompts are kept.
        threshold: a prompt of an abnormal report is kept when its probability is at least this.
        on_empty: what to do with an abnormal report of which no prompt reaches the threshold:
            "drop" keeps none (the study then has no text), "keep_all" keeps all of them.

    Returns:
        Kept and dropped prompts, each in their order; together they are ``prompts``.

    Raises:
        ValueError: lengths differ, a probability lies outside [0, 1] or is NaN, or a policy is
            unknown.
    """
    if len(prompts) != len(prompt_abnormal):
        raise ValueError(
            f"prompt_abnormal: expected {len(prompts)} values, one a prompt, got "
            f"{len(prompt_abnormal)}; classify the prompts again"
        )
    if on_empty not in ("drop", "keep_all"):
        raise ValueError(f"on_empty: expected 'drop' or 'keep_all', got {on_empty!r}")
    bad = [value for value in (*prompt_abnormal, threshold) if not 0 <= value <= 1]
    if bad:
        raise ValueError(
            f"prompt_abnormal and threshold: expected values in [0, 1], got {bad[0]}; "
            "pass probabilities, not logits"
        )
    if is_normal:
        return list(prompts), []
    chosen = [value >= threshold for value in prompt_abnormal]
    if not any(chosen) and on_empty == "keep_all":
        return list(prompts), []
    kept = [prompt for prompt, keep in zip(prompts, chosen, strict=True) if keep]
    dropped = [prompt for prompt, keep in zip(prompts, chosen, strict=True) if not keep]
    return kept, dropped
