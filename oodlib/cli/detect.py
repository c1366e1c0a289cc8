"""The commands on a person's own pictures: `oodlib detect` and `oodlib search`.

Heavy imports wait until a command needs them, so that help comes at once.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodlib.cli.console import SeveralValues, command, note, notes
from oodlib.cli.options import Encoder, Format, Like, Output, Pretrained, QuickGelu, Templates
from oodlib.cli.pairs import Pairs, judged, lines_of, summed_up
from oodlib.errors import OodlibError

if TYPE_CHECKING:
    from oodlib.guard.guard import Guard
    from oodlib.guard.rows import Rows

ALL_IN, SOME_OUT, SOME_UNREADABLE = 0, 3, 4
EXIT_CODES = (
    "Exit code: 0 all pictures are in; 3 some are out; 4 some cannot be read (whatever the others are); 1 an error, "
    "stated in one sentence; 2 a mistyped command; 130 interrupted. A pair is in if its picture is and "
    "its text matches."
)

PATHS = 'files, folders (with those below) or quoted globs: "photos/**/*.jpg"'


def detect(
    paths: Annotated[list[str] | None, typer.Argument(help=PATHS, metavar="PATHS...", show_default=False)] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--labels", help="names of your classes: all words up to the next option, or with commas between"),
    ] = None,
    labels_file: Annotated[
        Path | None,
        typer.Option(
            "--labels-file",
            help="or a text file, a name a line; or JSON: a list of names, or each name with a list of descriptions",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method", help="a detector: ole, outlier_softmax, unknown, mcm, energy, ...", show_default="ole"
        ),
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE of the method, such as temperature=0.5")
    ] = None,
    encoder: Encoder = None,
    pretrained: Pretrained = None,
    quick_gelu: QuickGelu = None,
    like: Like = None,
    templates: Templates = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            "--threshold",
            help="a number on the scale of the printed scores; id95: keeps 95 % of the --calibrate pictures; "
            "conformal: rejects a new picture of your classes at most 5 % of the time; auto: id95 with --calibrate, "
            "else where your classes are as likely as everything else, which ole, outlier_softmax, unknown, clipn_atd "
            "and clipn_ctw can tell",
            show_default="auto",
        ),
    ] = None,
    calibrate: Annotated[
        list[str] | None, typer.Option("--calibrate", help="pictures of your classes: folders, files or globs")
    ] = None,
    outliers: Annotated[
        list[str] | None,
        typer.Option("--outliers", help="words for what is not in your classes", show_default="nouns of WordNet"),
    ] = None,
    pairs: Pairs = None,
    kind: Format = None,
    output: Output = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", help="keep labels, method and threshold in this file, such as mine.safetensors"),
    ] = None,
    load: Annotated[
        Path | None,
        typer.Option(
            "--load", help="use a file that --save wrote; --labels then adds classes, --threshold moves the cut"
        ),
    ] = None,
) -> None:
    """Say of each picture whether it shows one of your classes (in) or none of them (out), and why.

    For example: oodlib detect photos/ --labels cat dog "sports car"

    For example: oodlib detect --pairs pairs.csv --labels cat dog

    Put paths before --labels, or after a lone --. A picture that scores at or above the threshold is in.

    Features and guards are kept: the same pictures are encoded once, the same labels fitted once. The first run with an
    encoder other than pocket also encodes 2,000 words.
    """
    from oodlib.cli.printing import check_targets, format_of, present

    shape = format_of(kind, output)
    if shape == "html":
        import oodlib.cli.gallery  # noqa: F401 (a report that cannot be drawn is refused before anything takes time)
    check_targets(output, save)
    lines = None if pairs is None else lines_of(pairs, paths, shape)
    if not paths and lines is None and save is None:
        raise OodlibError(
            "which pictures? Name files or folders before --labels, or --save a guard without looking at any"
        )
    if not paths and lines is None and (kind or output):
        said = "--output" if output else "--format"
        raise OodlibError(f"{said} is for what pictures give, and none are named: name some, or leave {said} out")
    # The first run takes a while. Calibration pictures have a bar of their own; two such displays disturb each other.
    waiting = notes.status("reading the model and the words ...") if not calibrate else contextlib.nullcontext()
    with waiting:
        guard = _guard(
            _labels(labels, labels_file),
            method,
            parameter,
            encoder,
            {"pretrained": pretrained, "quick_gelu": quick_gelu, "like": like},
            templates,
            threshold,
            calibrate,
            outliers,
            load,
        )
    for sentence in guard.notes:
        note(sentence)
    if save is not None:
        guard.save(save)
    if lines is not None and pairs is not None:
        found = judged(guard, lines, pairs)
    elif paths:
        found = guard.decisions(paths, progress=notes.is_terminal)
    else:
        return
    present(found, shape, output)
    _passed_over(found)
    decided = [row["decision"] for row in found.rows]
    counts = {decision: decided.count(decision) for decision in ("in", "out", "unreadable")}
    apart = "" if lines is None else summed_up(found)
    said = ", ".join(f"{n} {what}" for what, n in counts.items())
    notes.print(f"{said}; threshold {guard.threshold}{apart}", markup=False)
    if "share_out" in found.about:
        share, low = (f"{100 * found.about[name]:.0f} %" for name in ("share_out", "share_out_low"))
        notes.print(f"beside the calibration pictures, about {share} of these are out, and at least {low} (95 % sure)")
    code = SOME_UNREADABLE if counts["unreadable"] else SOME_OUT if counts["out"] else ALL_IN
    if code:
        raise typer.Exit(code)


command(detect, cls=SeveralValues, epilog=EXIT_CODES)


def search(
    query: Annotated[str, typer.Argument(help='what to look for, in quotes: "a dog wearing sunglasses"')],
    paths: Annotated[list[str], typer.Argument(help=PATHS)],
    top: Annotated[int, typer.Option("--top", min=1, help="how many pictures to list")] = 10,
    encoder: Encoder = None,
    pretrained: Pretrained = None,
    quick_gelu: QuickGelu = None,
    like: Like = None,
    templates: Annotated[
        str | None, typer.Option("--templates", help="prompts around the query", show_default="the query as it is")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--format", help="table, json or csv", show_default="by --output, else table")
    ] = None,
    output: Output = None,
) -> None:
    """Find the pictures that fit a sentence best.

    For example: oodlib search "a dog wearing sunglasses" photos/

    Every picture is compared with the sentence: nothing is approximated.

    Features are kept, so that the next query over the same pictures only reads them.
    """
    from oodlib.cli.printing import check_targets, format_of, present

    shape = format_of(kind, output)
    if shape == "html":
        raise OodlibError("search writes no HTML: choose table, json or csv")
    check_targets(output)
    from oodlib.encoders.named import named_encoder
    from oodlib.guard.search import search_rows
    from oodlib.prompts.sets import templates as named

    prompts = named(templates) if templates else None
    model = named_encoder(encoder or "pocket", pretrained, quick_gelu=quick_gelu, like=like)
    found = search_rows(query, paths, model, top=top, templates=prompts, progress=notes.is_terminal)
    present(found, shape, output)
    _passed_over(found)
    if any(row["rank"] is None for row in found.rows):
        raise typer.Exit(SOME_UNREADABLE)


command(
    search, epilog="Exit code: 0 all pictures were compared; 4 some cannot be read; 1 an error; 2 a mistyped command."
)


def _guard(
    labels: Any,
    method: str | None,
    parameter: list[str] | None,
    encoder: str | None,
    weights: dict[str, Any],
    templates: str | None,
    threshold: str | None,
    calibrate: list[str] | None,
    outliers: list[str] | None,
    load: Path | None,
) -> Guard:
    """A new guard, or one from a file with what the command line changes about it."""
    from oodlib.detectors import get_detector, name_of, parameters_of
    from oodlib.encoders.named import named_encoder
    from oodlib.evaluation.thresholds import check_rule
    from oodlib.experiments.typed import read_parameters
    from oodlib.guard.fit import check_outliers
    from oodlib.guard.guard import Guard
    from oodlib.guard.kept import kept_guard
    from oodlib.guard.labels import check_labels

    progress = notes.is_terminal
    if load is None:
        if labels is None:
            raise OodlibError("which classes? Pass their names with --labels or --labels-file, or a guard with --load")
        method = method or "ole"
        detector = get_detector(method, **read_parameters(parameter or [], parameters_of(method), method))
        words: dict[str, Any] = {"threshold": threshold or "auto", "templates": templates}
        # what is mistyped is refused before a model is loaded
        words["outliers"] = check_outliers(detector, split(outliers) if outliers else None)
        check_labels(labels)
        name, rule = name_of(detector), words["threshold"]
        check_rule(rule, method=name, even_odds=detector.even_odds, calibrated=bool(calibrate))
        model = named_encoder(encoder or "pocket", **weights)
        if calibrate:
            return Guard.make(labels, model, detector, calibrate=calibrate, progress=progress, **words)
        return kept_guard(labels, model, detector, **words)
    fixed: dict[str, Any] = {
        "--method": method,
        "--parameter": parameter,
        "--templates": templates,
        "--outliers": outliers,
    }
    fixed |= {"--quick-gelu": weights["quick_gelu"] is not None, "--like": weights["like"]}
    if clash := next((name for name, value in fixed.items() if value), None):
        raise OodlibError(f"{clash} is fixed in {load}: leave it out, or make a new guard without --load")
    if calibrate:
        check_rule(threshold or "auto", calibrated=True)
    guard = Guard.load(load, encoder, weights["pretrained"])
    if labels is not None:
        guard = guard.with_labels(labels)
    if threshold is not None or calibrate:
        guard = guard.with_threshold(threshold or "auto", calibrate or None, progress=progress)
    return guard


def _labels(given: list[str] | None, file: Path | None) -> Any:
    """Names from the command line and from a file, or None."""
    if given and file:
        raise OodlibError("labels come from --labels or from --labels-file, not from both: choose one")
    if given:
        return split(given)
    if file is None:
        return None
    from oodlib.guard.label_files import read_labels

    return read_labels(file)


def split(words: list[str]) -> list[str]:
    """Names of the command line; commas part names, too. An empty word stays, so that it can be refused.

    >>> split(["cat,dog", "sports car,", ""])
    ['cat', 'dog', 'sports car', '']
    """
    return [name for word in words for name in word.split(",") if name.strip() or not word]


def _passed_over(found: Rows) -> None:
    names = found.about["passed_over"]
    if names:
        some = ", ".join(Path(name).name for name in names[:3]) + (" ..." if len(names) > 3 else "")
        note(f"passed over {len(names)} file(s) not named like pictures ({some})")
