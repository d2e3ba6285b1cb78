"""The equations as slow loops, one cell at a time, in plain Python floats."""

import math


def log_softmax_at(row, j):
    top = max(row)
    return row[j] - top - math.log(sum(math.exp(s - top) for s in row))


def soft_rows(scores, targets, ignored=None):
    """Mean over rows with a positive of the cross-entropy to the normalised targets."""
    losses = []
    for i, row in enumerate(scores):
        kept = [j for j in range(len(row)) if ignored is None or not ignored[i][j]]
        mass = sum(targets[i][j] for j in kept)
        if mass == 0:
            continue
        visible = [row[j] for j in kept]
        losses.append(
            -sum(targets[i][j] / mass * log_softmax_at(visible, k) for k, j in enumerate(kept))
        )
    return sum(losses) / len(losses) if losses else 0.0


def transpose(matrix):
    return [list(column) for column in zip(*matrix, strict=True)]


def info_nce(scores, targets, ignored=None):
    flipped = None if ignored is None else transpose(ignored)
    columns = soft_rows(transpose(scores), transpose(targets), flipped)
    return (soft_rows(scores, targets, ignored) + columns) / 2


def pair_targets(normal):
    n = len(normal)
    return [[float(i == j or (normal[i] and normal[j])) for j in range(n)] for i in range(n)]


def sigmoid(scores, targets, weights=None, ignored=None):
    total = weight_sum = 0.0
    for i, row in enumerate(scores):
        for j, s in enumerate(row):
            if ignored is not None and ignored[i][j]:
                continue
            w = 1.0 if weights is None else weights[i][j]
            positive = -math.log1p(math.exp(-s)) if s > -30 else s
            negative = -math.log1p(math.exp(s)) if s < 30 else -s
            t = targets[i][j]
            total -= w * (t * positive + (1 - t) * negative)
            weight_sum += w
    return total / weight_sum if weight_sum else 0.0
