"""Time texts through MiniLM: ours, a plain transformers loop, and a loop of ONNX Runtime that was tuned by hand.

    python benchmarks/texts.py [--texts 2048] [--threads 2] [--rounds 3]

The work is WordNet's definitions from strings to features, the masked mean of the last hidden states, with one model
and the same weights. The plain loop takes 32 texts at a time as they are listed, and pads to the longest of the batch.
The hand-written loop of ONNX Runtime sorts by length, and the best of its settings counts, each measured in this run:
threads inside one session or beside each other, and the number of texts at once; its graph is ours, which has no more
than the model. All take turns, and the median of the rounds counts. Loading models is not counted. The cosine is the
smallest to the plain loop's feature, and must be above 0.99999.
"""

import argparse
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from _common import take_turns
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer

import oodlib.pocket
from oodlib.datasets import gloss_shift
from oodlib.encoders import TextEncoder
from oodlib.pocket.assemble import assemble, text_tower_folder
from oodlib.pocket.sessions import runtime

LENGTH, PLAIN_BATCH = 256, 32
OURS, PLAIN = "oodlib.encoders.TextEncoder", "transformers, plain loop"


def plain_loop(texts: list[str]) -> Callable[[], np.ndarray]:
    """What one writes by hand with transformers."""
    tokenizer = AutoTokenizer.from_pretrained(text_tower_folder())
    model = AutoModel.from_pretrained(text_tower_folder()).eval()

    def work() -> np.ndarray:
        parts = []
        for start in range(0, len(texts), PLAIN_BATCH):
            some = texts[start : start + PLAIN_BATCH]
            given = tokenizer(some, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
            with torch.inference_mode():
                states, mask = model(**given).last_hidden_state, given["attention_mask"][:, :, None]
                parts.append(((states * mask).sum(1) / mask.sum(1)).numpy())
        return np.concatenate(parts)

    return work


def onnx_loop(texts: list[str], batch: int, inside: int, beside: int) -> Callable[[], np.ndarray]:
    """Texts sorted by length through ONNX Runtime, with threads inside a session and batches beside each other."""
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = inside, 1
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(assemble()))
    graph = Path(oodlib.pocket.__file__).with_name("text.onnx").read_bytes()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(assemble() / "tokenizer.json"))
    tokenizer.enable_truncation(LENGTH)
    tokenizer.no_padding()

    def one(rows: list[list[int]]) -> np.ndarray:
        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
        return session.run(None, {"input_ids": ids, "attention_mask": (ids != 0).astype(np.int64)})[0]

    def work() -> np.ndarray:
        tokens = [row.ids for row in tokenizer.encode_batch(texts)]
        order = sorted(range(len(tokens)), key=lambda k: len(tokens[k]))
        batches = [[tokens[k] for k in order[start : start + batch]] for start in range(0, len(order), batch)]
        with ThreadPoolExecutor(beside) as pool:
            found = np.concatenate(list(pool.map(one, batches)))
        features = np.empty_like(found)
        features[order] = found
        return features

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("texts", 2048), ("threads", 2), ("rounds", 3)):
        parser.add_argument(f"--{option}", type=int, default=default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    texts = list(gloss_shift.load().train.first(chosen.texts).texts)
    encoder = TextEncoder(length=LENGTH)
    contenders: dict[str, Callable[[], np.ndarray]] = {
        OURS: functools.partial(encoder.encode_texts, texts),
        PLAIN: plain_loop(texts),
    }
    for batch in (16, 32, 64):
        for inside, beside in {(chosen.threads, 1), (1, chosen.threads)}:
            name = f"ONNX Runtime, {batch} texts, threads {inside} x {beside}"
            contenders[name] = onnx_loop(texts, batch, inside, beside)
    reference = contenders[PLAIN]()
    cosines: dict[str, float] = {}

    def agree(name: str, features: np.ndarray) -> None:
        product = (features * reference).sum(1)
        cosine = product / np.linalg.norm(features, axis=1) / np.linalg.norm(reference, axis=1)
        cosines[name] = min(cosines.get(name, 1.0), float(cosine.min()))
        assert cosines[name] > 0.99999, f"features of {name} differ: cosine {cosines[name]:.6f}"

    for work in contenders.values():  # the first pass allocates
        work()
    median = take_turns(contenders, chosen.rounds, agree)
    print(f"{len(texts):,} definitions to features, {chosen.threads} threads, median of {chosen.rounds}\n")
    print(f"{'':44s}{'texts/s':>10s}{'ours is faster by':>20s}{'smallest cosine':>18s}")
    for name, took in median.items():
        print(f"{name:44s}{len(texts) / took:10.1f}{took / median[OURS]:20.2f}{cosines[name]:18.7f}")
    tuned = min(took for name, took in median.items() if name.startswith("ONNX"))
    print(f"\nours / plain loop: {median[PLAIN] / median[OURS]:.2f} (at least 3)")
    print(f"ours / best ONNX Runtime loop: {tuned / median[OURS]:.2f} (at least 0.9)")


if __name__ == "__main__":
    main()
