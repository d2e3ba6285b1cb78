"""``train | predict | study | export``."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the commands."""
    for name, call, text in (
        ("train", _train, "train one variant, score the held-out cases"),
        ("predict", _predict, "score images with prompts by a finished run"),
    ):
        command = commands.add_parser(name, help=text)
        run_options(command)
        command.add_argument("--variant", default="offclip")
        command.add_argument("--seed", type=int, default=0)
        command.set_defaults(call=call)
        if name == "train":
            command.add_argument("--progress", action="store_true", help="a bar on stderr")
            command.add_argument("--tensorboard", action="store_true", help="curves in the run")
        if name == "predict":
            command.add_argument(
                "images", nargs="+", help="DICOM, PNG, JPEG files; folders of them"
            )
            command.add_argument("--model", help="folder of an exported model, in place of a run")
            command.add_argument("--checkpoint", help="weights of CARZero or OFF-CLIP, likewise")
            command.add_argument("--csv", help="write the scores to this file")
            command.add_argument("--force", action="store_true", help="replace the file of --csv")
            command.add_argument("--prompt", action="append", required=True, help="may be repeated")

    study = commands.add_parser("study", help="train variants over seeds, write evidence records")
    run_options(study)
    study.add_argument(
        "--variants",
        nargs="+",
        default=["infonce", "offclip"],
        help="names of offclip.study.VARIANTS; infonce@raw trains on raw sentences",
    )
    study.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    study.add_argument("--jobs", type=int, default=1, help="runs at a time")
    study.add_argument("--record", required=True, help="CSV file for the evidence")
    study.set_defaults(call=_study)

    export = commands.add_parser("export", help="write the best finished run as a model to share")
    run_options(export)
    export.add_argument("--variant", default="offclip")
    export.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    export.add_argument("--to", required=True, help="folder for the model and its card")
    export.add_argument("--force", action="store_true", help="replace the export of another run")
    export.set_defaults(call=_export)


def run_options(command: argparse.ArgumentParser) -> None:
    """Add the options of a command on runs."""
    command.add_argument("--data", default="runs/data", help="folder of the records")
    command.add_argument("--out", default="runs", help="folder of the runs")
    command.add_argument("--head", default="cross_attention")
    command.add_argument(
        "--config", help="'paper', or a YAML file of overrides (see offclip.study.run_config)"
    )
    command.add_argument("--init", help="weights to start from: a checkpoint or a model's folder")
    command.add_argument("--tokenizer", help="of --init or --checkpoint: a folder or vocab.txt")


def _overrides(options: argparse.Namespace, material: Any) -> dict[str, Any]:
    """Settings of ``--config`` and of the command line; ``epochs`` are made into steps.

    Raises:
        FileNotFoundError: no such configuration.
        ValueError: no mapping of names; both ``epochs`` and ``steps``; or no whole number of them.
    """
    import yaml

    from offclip.training import TrainConfig

    found: Any = {}
    if options.config is not None:
        shipped = Path(__file__).parents[1] / "configs" / f"{options.config}.yaml"
        path = shipped if shipped.exists() else Path(options.config)
        if not path.is_file():
            raise FileNotFoundError(f"--config: expected a YAML file or 'paper', got {path}")
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(found, dict):
        raise ValueError(f"{options.config}: expected lines of name: value, got {found!r}")
    if "epochs" in found:
        if "steps" in found:
            raise ValueError(f"{options.config}: expected epochs or steps, got both; leave one out")
        epochs, names = found.pop("epochs"), ("batch_size", "accumulate")
        sizes = {name: found.get(name, getattr(TrainConfig, name)) for name in names}
        for name, value in {"epochs": epochs, **sizes}.items():
            if not isinstance(value, int):
                raise ValueError(f"{name}: expected a whole number of at least 1, got {value!r}")
        found["steps"] = material.budget(epochs, **sizes)["steps"]
        found.setdefault("validate_every", material.budget(1, **sizes)["steps"])
    given = {"init": options.init, "tokenizer": options.tokenizer}
    return found | {name: value for name, value in given.items() if value}


def single(options: argparse.Namespace) -> tuple[Any, Any]:
    """Configuration and material of a command on one run."""
    material = _material(options)
    return _config(options, options.seed, material), material


def _config(options: argparse.Namespace, seed: int, material: Any) -> Any:
    from offclip.study import run_config

    settings = _overrides(options, material)
    return run_config(options.variant, head=options.head, seed=seed, **settings)


def _material(options: argparse.Namespace) -> Any:
    from offclip.study import material_of
    from offclip.training.distributed import process_state

    with process_state().main_process_first():  # one process of a training curates
        return material_of(options.data, options.out)


def _train(options: argparse.Namespace) -> None:
    from offclip.study import run
    from offclip.study.run import run_folder
    from offclip.training import progress_bar, tensorboard
    from offclip.training.distributed import process_state

    config, material = single(options)
    first = process_state().is_main_process
    watches = [progress_bar(config.train)] if options.progress and first else []
    if options.tensorboard and first:
        watches.append(tensorboard(run_folder(options.out, config, material)))

    def watch(step: int, facts: Mapping[str, float]) -> None:
        for each in watches:
            each(step, facts)

    folder = run(config, material, options.out, report=print, watch=watch).folder
    if first:
        print(folder)


def finished(options: argparse.Namespace) -> tuple[Any, Any]:
    """The finished run of these options, and its material."""
    from offclip.study import finished_run
    from offclip.study.run import of_other_code, run_folder

    config, material = single(options)
    found = finished_run(options.out, config, material)
    if found is None:
        folder = run_folder(options.out, config, material)
        others = "".join(f"; {name} was finished by other code" for name in of_other_code(folder))
        raise ValueError(
            f"no finished run in {folder}; run the train command with the same options first"
            + others
        )
    return found, material


def _predict(options: argparse.Namespace) -> None:
    from offclip.files import check_target, write_text
    from offclip.study.predict import image_files, left_out, predict

    if options.csv:
        check_target(options.csv, force=options.force)
    images, others = image_files(options.images)
    found = predict(*scorer(options), options.prompt, images)
    if options.csv:
        write_text(Path(options.csv), found.table.to_csv(index_label="file"))
        print(f"wrote {options.csv}, {len(found.table)} images")
    elif len(found.table):
        print(found.table.round(3).to_string())
    if others:
        print(left_out(others))
    if found.refused:
        count = len(found.refused) + len(found.table)
        reasons = "\n  ".join(found.refused.values())
        raise ValueError(f"{len(found.refused)} of {count} images not scored:\n  {reasons}")


def scorer(options: argparse.Namespace) -> tuple[Any, Any]:
    """Model, and how it takes a grey image."""
    from offclip.imaging.resize import published_square
    from offclip.models import load
    from offclip.study import CachedMaterial
    from offclip.study import load_model as load_run
    from offclip.study.benchmark import resize_for

    if options.checkpoint and options.model:
        raise ValueError("--checkpoint, --model: expected one of them, got both")
    if options.checkpoint:
        published = load(options.checkpoint, tokenizer=options.tokenizer)
        return published, resize_for(published)
    if options.model:
        exported = load(options.model)
        return exported, resize_for(exported)
    found, material = finished(options)
    model = load_run(found)
    if isinstance(material, CachedMaterial):
        return model, published_square
    return model, resize_for(model)


def _export(options: argparse.Namespace) -> None:
    from offclip.study import best_run, export, finished_run
    from offclip.study.pooling import check_once

    check_once("--seeds", options.seeds)
    material = _material(options)
    configs = [_config(options, seed, material) for seed in options.seeds]
    runs = [finished_run(options.out, config, material) for config in configs]
    best = best_run([run for run in runs if run is not None])
    print(f"seed {best.config.train.seed} of {sum(run is not None for run in runs)} finished runs")
    print(f"wrote {export(best, material, options.to, force=options.force)}")


def _study(options: argparse.Namespace) -> None:
    from offclip.evaluation import check_record, write_evidence
    from offclip.study import run_config, study_records, sweep
    from offclip.study.pooling import check_once

    check_record(options.record)
    check_once("--seeds", options.seeds)
    check_once("--variants", options.variants)
    material = _material(options)
    overrides = _overrides(options, material)
    labels = options.variants
    configs = []
    for seed in options.seeds:
        for label in labels:
            variant, _, prompting = label.partition("@")
            settings = {**overrides, **({"prompting": prompting} if prompting else {})}
            configs.append(run_config(variant, head=options.head, seed=seed, **settings))
    runs = sweep(configs, material, options.out, jobs=options.jobs, report=print)
    grouped = {label: runs[start :: len(labels)] for start, label in enumerate(labels)}
    path = write_evidence(options.record, study_records(grouped, material))
    print(f"wrote {path}")
