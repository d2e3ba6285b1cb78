"""``evaluate``: a model on a published set, or the test metrics of a finished run."""

import argparse
from pathlib import Path
from typing import Any

from offclip.cli.runs import finished, run_options, scorer, single
from offclip.cli.shared import spread_options

WEIGHTS = (".ckpt", ".pt", ".pth", ".bin", ".safetensors")


def add(commands: Any) -> None:
    """Add the command."""
    evaluate = commands.add_parser(
        "evaluate",
        help="a model on a published set, both protocols; without a set, a finished run's metrics",
    )
    evaluate.add_argument("dataset", nargs="?", help="published set, for example vindr_cxr")
    evaluate.add_argument("--root", help="your copy of the set")
    run_options(evaluate)
    evaluate.add_argument("--variant", default="offclip", help="of the run")
    evaluate.add_argument("--seed", type=int, default=0, help="of the run")
    evaluate.add_argument("--checkpoint", help="weights of CARZero or OFF-CLIP, in place of a run")
    evaluate.add_argument("--model", help="folder of an exported model, likewise")
    evaluate.add_argument("--name", help="of the model in the records")
    evaluate.add_argument("--record", help="CSV file for the evidence")
    evaluate.add_argument("--scores", default="runs/scores", help="private folder of the scores")
    evaluate.add_argument("--protocol", default="both", help="both, published or corrected")
    evaluate.add_argument("--views", default="mean", help="of a study: mean, max or frontal")
    evaluate.add_argument(
        "--allow-missing", action="store_true", help="go on without images that cannot be read"
    )
    evaluate.add_argument(
        "--published-pixels",
        action="store_true",
        help="read DICOM once more, divided by its maximum, for the published protocol",
    )
    evaluate.add_argument(
        "--no-validation", action="store_true", help="no thresholds, no validation images"
    )
    evaluate.add_argument("--min-positives", type=int, default=10, help="of a class measured")
    evaluate.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    evaluate.add_argument("--batch-size", type=int, default=128, help="images at once")
    spread_options(evaluate)
    evaluate.set_defaults(call=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    if options.dataset is None:
        _print_run(options)
    elif options.root is None:
        raise ValueError(f"--root: expected the folder of your copy of {options.dataset}")
    else:
        _evaluate_set(options)


def _print_run(options: argparse.Namespace) -> None:
    from offclip.study.evidence import run_records
    from offclip.study.measured import measure_run

    given = [n for n in ("root", "checkpoint", "model", "record") if getattr(options, n)]
    if given:
        raise ValueError(f"--{given[0]}: name the published set too, for example vindr_cxr")
    found, material = finished(options)
    for record in run_records(measure_run(found, material, "test")):
        print(_line(record))
    for prompt, words in found.about["unknown_words"].items():
        print(f"  {prompt!r} was scored without a word that the model does not know: {words[0]}")


def _line(record: Any) -> str:
    bounds = "" if record.interval is None else "  [{:.3f}, {:.3f}]".format(*record.interval)
    return f"{record.metric:26} {record.detail:48} {record.value:.3f}{bounds}"


def _evaluate_set(options: argparse.Namespace) -> None:
    import torch

    from offclip.data.manifests import load_manifest
    from offclip.data.spread import spread
    from offclip.evaluation import check_record, write_evidence
    from offclip.scores import use_exact_float32
    from offclip.study.benchmark import Options, Scorer, evaluate_published_set

    if options.record:
        check_record(options.record)
    load_manifest(options.dataset)  # a name that is no set is told before a model is loaded
    chosen = Options(
        protocol=options.protocol,
        views=options.views,
        allow_missing=options.allow_missing,
        published_pixels=options.published_pixels,
        validation=not options.no_validation,
        min_positives=options.min_positives,
        resamples=options.resamples,
    )
    model, resize = scorer(options)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    use_exact_float32()
    with spread(options.jobs, options.scheduler) as shared:
        found = evaluate_published_set(
            options.dataset,
            options.root,
            Scorer(model, resize, batch_size=options.batch_size, spread=shared),
            _name(options),
            options=chosen,
            folder=options.scores,
            report=print,
        )
    _print_evaluation(found)
    if options.record:
        print(f"wrote {write_evidence(options.record, found.records)}")


def _print_evaluation(found: Any) -> None:
    for split in dict.fromkeys(record.split for record in found.records):
        print(f"\n{split}")
        for record in found.records:
            if record.split == split:
                print(f"{_line(record)}  n={record.n}")
    print(f"\n{found.table.round(3).to_string(na_rep='')}\n")
    for note in found.notes:
        print(note)
    for prompt, words in found.unknown.items():
        print(f"  not scored: {prompt!r}, unknown: {', '.join(words)}")
    for reason in found.missing.values():
        print(f"  {reason}")
    print(f"scores of single images, private: {found.folder}")


def _name(options: argparse.Namespace) -> Any:
    """How the records name the model."""
    from offclip.study.benchmark import ModelName

    given = options.checkpoint or options.model
    if given:
        return ModelName(options.name or _source_name(Path(given).resolve()))
    config, _ = single(options)
    return ModelName(options.name or config.name, config.prompting, config.train.seed)


def _source_name(path: Path) -> str:
    """A folder's whole name; a file's without its ending, if it is one of weights."""
    weights = path.suffix.lower() in WEIGHTS and not path.is_dir()
    return path.stem if weights else path.name
