"""From the image cache to batches, against a torch DataLoader over PNG files, in one run.

    python -m benchmarks.data_side --record book/results/data_side.csv

Makes so many grey PNG files of 256 pixels (renderings with noise, so that they compress about as
radiographs do) and their cache in a temporary folder. Every way gives the same random batches of
the same study pictures; the first pictures of both are compared before anything is timed:

- ``cache``: rows of the memory-mapped array, as training takes them;
- ``cache, augmented``: and the random views on the device;
- ``PNG files``: a DataLoader that decodes each file with Pillow, in ``--workers`` processes.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks._notes import ROUNDS, Notes, speed_parser, wait
from offclip.data.batches import CachedImages, StudyBatches
from offclip.data.cache import ImageCache, write_cache
from offclip.imaging.resize import LONGER_SIDE
from offclip.phantom import render_many
from offclip.training import Augmentation, augment

BATCH = 256


class PngFiles(Dataset[Tensor]):
    """The files, decoded one by one."""

    def __init__(self, paths: list[Path]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.paths[index]) as image:
            return torch.from_numpy(np.array(image))


def make_files(folder: Path, count: int) -> list[str]:
    """Grey PNG files of 256 pixels: a rendered chest with fresh noise in each."""
    generator = np.random.default_rng(0)
    chests = [p.image for p in render_many([()] * 8, [(0, k) for k in range(8)], size=LONGER_SIDE)]
    names = [f"{number:05d}.png" for number in range(count)]
    for number, name in enumerate(names):
        noise = generator.normal(0, 2, (LONGER_SIDE, LONGER_SIDE))
        grey = np.clip(chests[number % len(chests)] + noise, 0, 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / name)
    return names


def rate(batches: Callable[[], Iterator[Tensor]], device: str) -> float:
    """Images per second of one pass."""
    start, count = time.perf_counter(), 0
    for pictures in batches():
        count += len(pictures)
    wait(device)
    return count / (time.perf_counter() - start)


def ways(
    cache: ImageCache, paths: list[Path], device: str, workers: int
) -> dict[str, Callable[[], Iterator[Tensor]]]:
    """What is compared: each call goes through all pictures once, in batches on the device."""
    names = [path.name for path in paths]
    batches = StudyBatches(
        CachedImages(names, cache.rows(names)),
        [["there is nodule"]] * len(names),
        np.zeros(len(names), dtype=bool),
        lambda texts: {},
        batch_size=BATCH,
        seed=0,
    )

    def cached() -> Iterator[Tensor]:
        for batch in batches(0):
            assert isinstance(batch["images"], Tensor)
            yield batch["images"].to(device)

    def augmented() -> Iterator[Tensor]:
        return (augment(pictures, Augmentation(), margin=16) for pictures in cached())

    def decoded() -> Iterator[Tensor]:
        loader = DataLoader(
            PngFiles(paths), BATCH, shuffle=True, num_workers=workers, drop_last=True
        )
        return (pictures.to(device) for pictures in loader)

    return {
        "cache": cached,
        "cache, augmented": augmented,
        f"PNG files, {workers} workers": decoded,
    }


def main() -> None:
    """Measure and print; with ``--record`` write evidence."""
    parser = speed_parser(__doc__, device="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pictures", type=int, default=20 * BATCH)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    fields = {"dataset": "generated", "split": "train", "method": ROUNDS}
    notes = Notes(options, {"batch": BATCH}, **fields, n=options.pictures,
                  detail=f"batches of {BATCH}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = make_files(root, options.pictures)
        paths = [root / name for name in names]
        cache = write_cache(root / "cache", root, names)
        decoded = torch.stack([PngFiles(paths)[i] for i in range(64)]).numpy()
        if not (cache.rows(names[:64])[:] == decoded).all():
            raise SystemExit("the cache and the files differ")
        compared = ways(cache, paths, options.device, options.workers)
        rates: dict[str, list[float]] = {name: [] for name in compared}
        for _ in range(options.rounds):
            for name, batches in compared.items():
                rates[name].append(rate(batches, options.device))
    *ours, peer = rates
    for name, found in rates.items():
        notes.add("pictures_per_second", statistics.median(found), "pictures/s", variant=name,
                  interval=(min(found), max(found)))  # fmt: skip
    for name in ours:
        ratios = [a / b for a, b in zip(rates[name], rates[peer], strict=True)]
        value = statistics.median(rates[name]) / statistics.median(rates[peer])
        notes.add("speed_over_png", value, variant=name, detail=f"{name} over {peer}",
                  interval=(min(ratios), max(ratios)))  # fmt: skip


if __name__ == "__main__":
    main()
