"""Time `oodlib.evaluation.metrics` against scikit-learn on the same work, in one run; both must give the same numbers.

    python benchmarks/metrics.py [--n-id 50000] [--n-ood 10000] [--replicates 1000] [--peer-replicates 10]

The work is what a table row needs: AUROC, both AUPRs, both FPR95s and the detection accuracy, on the scores themselves
and on bootstrap replicates. scikit-learn sorts every resampled set again; it is given fewer replicates and its time is
scaled, because it would take minutes.
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from oodlib.evaluation import METRICS, bootstrap_metrics, ood_metrics


def with_sklearn(id_scores: np.ndarray, ood_scores: np.ndarray) -> list[float]:
    """The same six numbers, in the order of `METRICS`."""
    truth = np.repeat([1, 0], [len(id_scores), len(ood_scores)])
    scores = np.concatenate([id_scores, ood_scores])
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    fpr_out, tpr_out, _ = roc_curve(1 - truth, -scores, drop_intermediate=False)
    return [
        roc_auc_score(truth, scores),
        average_precision_score(truth, scores),
        average_precision_score(1 - truth, -scores),
        fpr[np.argmax(tpr >= 0.95)],
        fpr_out[np.argmax(tpr_out >= 0.95)],
        ((1 - fpr + tpr) / 2).max(),
    ]


def sklearn_bootstrap(id_scores: np.ndarray, ood_scores: np.ndarray, n_boot: int, seed: int = 0) -> np.ndarray:
    """Resample and compute again, with the draws of `bootstrap_metrics`: (n_boot, 6)."""
    id_stream, ood_stream = np.random.default_rng(seed).spawn(2)
    rows = []
    for _ in range(n_boot):
        id_draw = id_stream.integers(len(id_scores), size=len(id_scores))
        ood_draw = ood_stream.integers(len(ood_scores), size=len(ood_scores))
        rows.append(with_sklearn(id_scores[id_draw], ood_scores[ood_draw]))
    return np.array(rows)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the work returned."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("n-id", 50_000), ("n-ood", 10_000), ("replicates", 1000), ("peer-replicates", 10)):
        parser.add_argument(f"--{option}", type=int, default=default)
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    # float32, and rounded a little, so that there are ties as in real scores
    id_scores = rng.normal(1, 1, chosen.n_id).astype(np.float32).round(4)
    ood_scores = rng.normal(0, 1, chosen.n_ood).astype(np.float32).round(4)
    few, many = chosen.peer_replicates, chosen.replicates

    ours = min(timed(lambda: ood_metrics(id_scores, ood_scores))[0] for _ in range(5))
    theirs = min(timed(lambda: with_sklearn(id_scores, ood_scores))[0] for _ in range(5))
    boot_ours, boot = timed(lambda: bootstrap_metrics({"a": (id_scores, ood_scores)}, n_boot=many))
    boot_theirs, rows = timed(lambda: sklearn_bootstrap(id_scores, ood_scores, few))
    shared = min(few, many)
    np.testing.assert_allclose(boot.replicates["a"][:shared], rows[:shared], rtol=0, atol=1e-12)
    six = {f"detector {k}": (id_scores, ood_scores) for k in range(6)}
    six_seconds, _ = timed(lambda: bootstrap_metrics(six, n_boot=max(1, many // 10)))
    tracemalloc.start()
    bootstrap_metrics(six, n_boot=max(1, many // 10))
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()

    print(f"{chosen.n_id} ID + {chosen.n_ood} OOD scores, {len(METRICS)} metrics, values agree to 1e-12\n")
    print(f"{'':44s}{'oodlib':>10s}{'scikit-learn':>14s}{'ratio':>8s}")

    def row(label: str, a: float, b: float) -> None:
        print(f"{label:44s}{a:10.4g}{b:14.4g}{b / a:8.1f}")

    row("one evaluation (ms)", 1e3 * ours, 1e3 * theirs)
    row("one bootstrap replicate (ms)", 1e3 * boot_ours / many, 1e3 * boot_theirs / few)
    row(f"{many} replicates (s; scikit-learn scaled)", boot_ours, boot_theirs / few * many)
    per_detector = six_seconds / max(1, many // 10) / len(six)
    print(f"{'one replicate of one of six detectors (ms)':44s}{1e3 * per_detector:10.4g}")
    print(f"{'peak memory of six detectors (MiB)':44s}{peak:10.4g}")


if __name__ == "__main__":
    main()
