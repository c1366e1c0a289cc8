"""Datasets: one file each, every one yields a Manifest and cuts Benchmarks out of it."""

from oodlib.datasets.base import Benchmark, Manifest

__all__ = ["Benchmark", "Manifest"]
