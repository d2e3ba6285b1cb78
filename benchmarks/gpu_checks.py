"""Whether a GPU computes what a CPU does in double precision, from the losses to a resumed run.

    python -m benchmarks.gpu_checks --device cuda [--published ../CARZero] [--record checks.csv]

Each check stands alone: one that fails is reported with its error, the others go on, and the exit
code is their number. The record holds distances (norm of the difference over the norm of the exact
values), the largest of values and gradients.
"""

import dataclasses
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn.functional import normalize

from benchmarks._head import Setting, distances, new_features, train_step, ways
from benchmarks._notes import Notes, speed_parser
from offclip import losses
from offclip.losses.gather import gathered
from offclip.models import ImageTextModel, ModelConfig, PairModel, PublishedCARZero, PublishedConfig
from offclip.scores import PairScores, use_exact_float32
from offclip.training import Augmentation, Objective, TrainConfig, augment, train

CLOSE = {"float32": 1e-4, "bfloat16": 5e-2}
BATCH, WORDS = 8, 40
SMALL = ModelConfig(image_size=64, image_widths=(8, 16), dim=32, text_layers=1, heads=4)
PUBLISHED = PublishedConfig(
    vocabulary=WORDS, dim=32, layers=4, heads=4, feedforward=64, image_size=32, patch_size=8,
    positions=20, text_length=20, fusion_layers=2, fusion_heads=4, fusion_feedforward=64,
    hidden=(16,),
)  # fmt: skip
Check = Callable[[str, Path | None], Mapping[str, float]]


def random(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in float64 on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def loss_calls(flags: Tensor) -> dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    """Every loss as a function of scores, features and tokens."""
    scores = PairScores

    def unit(x: Tensor) -> Tensor:
        return normalize(x, dim=-1)

    def chunked(call: Callable[..., Any], **named: Any) -> Callable[..., Any]:
        return lambda s, f, t: call(unit(f), unit(f.flip(0)), 5.0, **named)

    calls: dict[str, Callable[..., Any]] = {
        "info_nce": lambda s, f, t: losses.info_nce(s),
        "sigmoid_loss": lambda s, f, t: losses.sigmoid_loss(s, losses.pair_targets(flags).to(s)),
        "abnormal_info_nce": lambda s, f, t: losses.abnormal_info_nce(s, flags),
        "carzero_loss": lambda s, f, t: losses.carzero_loss(scores(s, s.T.exp())),
        "medclip_loss": lambda s, f, t: losses.medclip_loss(s, unit(f), unit(f.flip(0))),
        "supcon_in_loss": lambda s, f, t: losses.supcon_in_loss(s, losses.pair_targets(flags)),
        "gloria_local_loss": lambda s, f, t: losses.gloria_local_loss(t, t.flip(0)),
        "tier_penalty": lambda s, f, t: losses.tier_penalty(t, words_weight=1, patches_weight=1),
        "chunked_info_nce": chunked(losses.chunked_info_nce, chunk_size=3),
    }
    for form in ("bce", "soft_ce"):
        for balance in ("none", "classes"):
            how: dict[str, Any] = {"form": form, "balance": balance}
            calls[f"off_diagonal_loss {form} {balance}"] = lambda s, f, t, how=how: (
                losses.off_diagonal_loss(s, flags, **how)
            )
            calls[f"chunked_off_diagonal_loss {form} {balance}"] = chunked(
                losses.chunked_off_diagonal_loss, is_normal=flags, chunk_size=3, **how
            )
        calls[f"offclip_loss {form}"] = lambda s, f, t, form=form: (
            losses.offclip_loss(scores(s, s.T.exp()), flags, form=form).total
        )
        calls[f"OffClipCriterion {form}"] = lambda s, f, t, form=form: losses.OffClipCriterion(
            form=form
        )(unit(f), unit(f.flip(0)), 5.0, is_normal=flags)
    return calls


def check_losses(device: str, _: Path | None) -> dict[str, float]:
    """Values and gradients of every loss in float32, against float64 on the CPU."""
    found = {}
    inputs = [random(BATCH, BATCH), random(BATCH, 5, seed=1), random(BATCH, 6, 5, seed=2)]
    for name in loss_calls(torch.ones(0)):
        results = []
        for where, kind in (("cpu", torch.float64), (device, torch.float32)):
            flags = torch.arange(BATCH, device=where) % 3 == 0
            leaves = [x.to(where, kind).requires_grad_() for x in inputs]
            value = loss_calls(flags)[name](*leaves)
            grads = torch.autograd.grad(value, leaves, allow_unused=True)
            results.append([value.detach().cpu(), *(g.cpu() for g in grads if g is not None)])
        exact, ours = results
        used = [i for i, x in enumerate(exact) if x.norm() > 1e-12]
        found[name] = max(distances([ours[i] for i in used], [exact[i] for i in used]))
    return _close(found, "float32")


def models() -> Iterator[tuple[str, PairModel]]:
    """Every architecture with every head, small and with random weights."""
    for head in ("cosine", "cross_attention"):
        torch.manual_seed(0)
        yield head, ImageTextModel(dataclasses.replace(SMALL, head=head), WORDS)
    torch.manual_seed(0)
    model = PublishedCARZero(PUBLISHED)
    model.text_tower.continues = torch.zeros(WORDS, dtype=torch.bool)
    model.text_tower.separator = 3
    yield "published", model


def batch_of(model: PairModel, device: str) -> dict[str, Tensor]:
    """Random pixels, and texts that end with the separator."""
    side = model.picture_size
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (BATCH, side, side), generator=generator, dtype=torch.uint8)
    ids = torch.randint(4, WORDS, (BATCH, 12), generator=generator)
    ids[:, -1] = 3
    batch = {
        "images": model.prepare(pixels),
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "is_normal": torch.arange(BATCH) % 3 == 0,
    }
    return {name: value.to(device) for name, value in batch.items()}


def one_step(model: PairModel, device: str, precision: str, kind: torch.dtype) -> list[Tensor]:
    """Loss and all gradients of one step without dropout, and their dtypes checked."""
    model = deepcopy(model).eval().to(device, kind)
    config = TrainConfig(precision=precision, tier_words=0.1, tier_patches=0.1)
    batch = batch_of(model, device)
    batch["images"] = batch["images"].to(kind)
    terms = Objective(model, config).eval()(**batch)
    wanted = torch.float32 if kind is torch.float32 else kind
    for name, term in terms.items():
        if term.dtype != wanted:
            raise ValueError(f"{name}: expected {wanted}, got {term.dtype}")
    terms["total"].backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    if not all(torch.isfinite(g).all() for g in grads):
        raise ValueError("gradient: expected finite numbers")
    flat = torch.cat([g.flatten().cpu().double() for g in grads])
    return [terms["total"].detach().cpu().double(), flat]


def check_steps(device: str, _: Path | None) -> dict[str, float]:
    """One step of every model in float32 and under autocast, against float64 on the CPU."""
    found, half = {}, {}
    for name, model in models():
        exact = one_step(model, "cpu", "float32", torch.float64)
        single = one_step(model, device, "float32", torch.float32)
        mixed = one_step(model, device, "bfloat16", torch.float32)
        found[f"{name}, float32"] = max(distances(single, exact))
        half[f"{name}, bfloat16"] = distances(mixed, exact)[0]
    return _close(found, "float32") | _close(half, "bfloat16")


def check_views(device: str, _: Path | None) -> dict[str, float]:
    """Random views: repeatable on the device; without randomness those of the CPU."""
    images = batch_of(next(models())[1], "cpu")["images"][:, 0]
    grey = (images - images.min()).div(images.max() - images.min()).mul(255).byte()
    views = []
    for _ in range(2):
        torch.manual_seed(0)
        views.append(augment(grey.to(device), Augmentation()).cpu())
    still = Augmentation(0.0, 0.0, 0.0, (1.0, 1.0), (1.0, 1.0), (1.0, 1.0))
    same = [augment(grey.to(where), still).cpu().double() for where in ("cpu", device)]
    return {
        "repeated": _below(float((views[0] != views[1]).sum()), 0.0),
        "without randomness, grey levels": _below(float((same[0] - same[1]).abs().max()), 1.0),
    }


@torch.no_grad()
def check_maps(device: str, _: Path | None) -> dict[str, float]:
    """Attention maps of the models that have them."""
    found = {}
    for name, model in models():
        if name == "cosine":
            continue
        results = []
        for where, kind in (("cpu", torch.float64), (device, torch.float32)):
            placed = deepcopy(model).eval().to(where, kind)
            batch = batch_of(placed, where)
            tokens = batch["input_ids"], batch["attention_mask"]
            maps = placed.attention(batch["images"].to(kind), *tokens)
            results.append([each.cpu() for each in maps])
        found[name] = max(distances(results[1], results[0]))
    return _close(found, "float32")


def check_ways(device: str, published: Path | None) -> dict[str, float]:
    """Absorbed, projected, in chunks and published: values and gradients at the published size."""
    size = 32 if device == "cuda" else 2
    setting = Setting(published, device, "float32", size)
    each, sides = ways(setting), new_features(setting, size, size)
    exact = train_step(setting, each.pop("published" if published else "ours, projected"), sides)
    return _close(
        {
            name: max(distances(train_step(setting, way, sides), exact))
            for name, way in each.items()
        },
        "float32",
    )


class Batches:
    """Two batches of random pixels and texts an epoch."""

    def __init__(self, model: PairModel):
        self.batch = {**batch_of(model, "cpu"), "ids": [str(i) for i in range(BATCH)]}

    def __len__(self) -> int:
        return 2

    def __call__(self, epoch: int, start: int = 0) -> Iterator[Mapping[str, Any]]:
        return (self.batch for _ in range(start, 2))


def check_resume(device: str, __: Path | None) -> dict[str, float]:
    """20 steps stopped at 10 and resumed, against 20 in one go: weights of both."""
    config = TrainConfig(steps=20, batch_size=BATCH, validate_every=10, select="calls")
    weights = []
    with tempfile.TemporaryDirectory() as folder:
        for name, stops_at in (("full", 0), ("resumed", 2)):
            calls = count(1)

            def validate(_: Any, calls: Any = calls, stops_at: int = stops_at) -> dict[str, float]:
                if (call := next(calls)) == stops_at:  # after step 20; kept was step 10
                    raise KeyboardInterrupt
                return {"calls": float(call)}

            for _ in range(2 if stops_at else 1):
                model = dict(models())["cross_attention"]
                with suppress(KeyboardInterrupt):
                    train(model, Batches(model), validate, config, Path(folder) / name)
            weights.append([p.detach().cpu() for p in model.parameters()])
    differences = [float((a - b).abs().max()) for a, b in zip(*weights, strict=True)]
    return {"largest difference of a weight": _below(max(differences), 1e-3)}


def check_group(device: str, _: Path | None) -> dict[str, float]:
    """A process group of one: what is gathered is what was given, gradient included."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29531", "RANK": "0",
                   "WORLD_SIZE": "1"}  # fmt: skip
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        rows = random(4, 3).to(device, torch.float32).requires_grad_()
        (gradient,) = torch.autograd.grad(gathered(rows).square().sum(), rows)
        return {"gradient": _below(float((gradient - 2 * rows.detach()).abs().max()), 1e-6)}
    finally:
        distributed.destroy_process_group()


def _close(found: dict[str, float], precision: str) -> dict[str, float]:
    for name, distance in found.items():
        _below(distance, CLOSE[precision], name)
    return found


def _below(value: float, bound: float, name: str = "difference") -> float:
    if not value <= bound:
        raise ValueError(f"{name}: expected at most {bound:g}, got {value:.3g}")
    return value


CHECKS: dict[str, Check] = {
    "losses": check_losses, "steps": check_steps, "views": check_views, "maps": check_maps,
    "head": check_ways, "resume": check_resume, "process group": check_group,
}  # fmt: skip


def main() -> None:
    """Run every check; the exit code counts those that failed."""
    parser = speed_parser(__doc__)
    parser.add_argument("--published", type=Path, help="clone of CARZero")
    options = parser.parse_args()
    use_exact_float32()
    notes, failed = Notes(options, {"batch": BATCH}), []
    for name, check in CHECKS.items():
        try:
            for detail, distance in check(options.device, options.published).items():
                notes.add("distance", distance, detail=f"{name}: {detail}", n=BATCH)
        except Exception:
            failed.append(name)
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
    print(f"{len(CHECKS) - len(failed)} of {len(CHECKS)} checks passed", *failed, flush=True)
    sys.exit(len(failed))


if __name__ == "__main__":
    main()
