"""Split studies into train, validation and test so that nothing is in two of them."""

import hashlib
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from jaxtyping import Int

SPLITS = ("train", "validation", "test")


def text_key(text: str) -> str:
    """Return a digest of the text's words, ignoring case, white space and punctuation."""
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


_NO_WORDS = text_key("")


def grouped_split(
    patient_ids: Sequence[str],
    texts: Sequence[str],
    *,
    seed: int,
    fractions: Mapping[str, float],
    is_normal: Sequence[bool] | None = None,
) -> list[str]:
    """Return the split of each study: same patient or same text, same split.

    Studies are joined into groups by patient id and by text (case, white space and punctuation
    ignored; a text without words joins nothing), also over several steps. Groups are drawn in
    random order, larger ones first; each goes to a split with a probability in proportion to the
    room left there for its normal and its abnormal studies, so that the shares of both come out as
    far as groups allow. The result does not depend on the order of the studies.

    Args:
        patient_ids, texts: one a study.
        seed: at least 0.
        fractions: split name to its share; not negative, sum 1; names as in ``SPLITS``.
        is_normal: one a study; ``None`` takes all as alike.

    Raises:
        ValueError: lengths differ, or the fractions are not shares.
    """
    flags = [True] * len(texts) if is_normal is None else [bool(flag) for flag in is_normal]
    if not len(patient_ids) == len(texts) == len(flags):
        raise ValueError(
            f"grouped_split: expected one text and flag a patient id, got {len(patient_ids)} ids, "
            f"{len(texts)} texts and {len(flags)} flags"
        )
    _check_fractions(fractions)
    groups = _groups(patient_ids, texts)
    rng = np.random.default_rng(seed)
    result = [""] * len(texts)
    counts = np.array(
        [(sum(flags[i] for i in group), sum(not flags[i] for i in group)) for group in groups],
        dtype=int,
    ).reshape(-1, 2)
    for group, split in zip(groups, _fill(counts, fractions, rng), strict=True):
        for index in group:
            result[index] = split
    return result


def _check_fractions(fractions: Mapping[str, float]) -> None:
    unknown = set(fractions) - set(SPLITS)
    shares = list(fractions.values())
    if unknown or any(not share >= 0 for share in shares) or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(
            f"fractions: expected shares of {SPLITS} that are not negative and sum to 1, got "
            f"{dict(fractions)}"
        )


def _groups(patient_ids: Sequence[str], texts: Sequence[str]) -> list[list[int]]:
    """Return groups of indices (union-find over patient and text), in an order of their own."""
    parent = list(range(len(texts)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[Hashable, int] = {}
    keys = [text_key(text) for text in texts]
    for index, (patient, key) in enumerate(zip(patient_ids, keys, strict=True)):
        links: list[Hashable] = [("patient", patient)]
        if key != _NO_WORDS:
            links.append(("text", key))
        for link in links:
            parent[root(index)] = root(first.setdefault(link, index))
    members: dict[int, list[int]] = {}
    for index in range(len(texts)):
        members.setdefault(root(index), []).append(index)
    return sorted(members.values(), key=lambda group: min((patient_ids[i], keys[i]) for i in group))


def _fill(
    counts: Int[np.ndarray, "groups 2"], fractions: Mapping[str, float], rng: np.random.Generator
) -> list[str]:
    """Return a split for each group of (normal, abnormal) studies; larger groups first."""
    names = [name for name in SPLITS if fractions.get(name, 0) > 0]
    shares = np.array([fractions[name] for name in names])
    room = np.outer(shares, counts.sum(axis=0))
    result = [""] * len(counts)
    for index in np.lexsort((rng.random(len(counts)), -counts.sum(axis=1))):
        left = np.clip(room, 0, None) @ counts[index]
        # Rounding can leave no room for a group: then the split that is least overfull takes it.
        chance = left / left.sum() if left.sum() > 0 else np.eye(len(names))[room.sum(1).argmax()]
        chosen = rng.choice(len(names), p=chance)
        room[chosen] -= counts[index]
        result[index] = names[chosen]
    return result
