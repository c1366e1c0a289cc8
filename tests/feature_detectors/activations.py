"""Made-up activations as behind a ReLU."""

import numpy as np

D, C = 24, 4


def drawn(n, seed=0, outside=False):
    """Features and classes of n rows: a class is three strong columns of twelve; outside, of the other twelve."""
    random = np.random.default_rng(seed)
    labels = random.integers(C, size=n)
    features = random.exponential(0.1, size=(n, D))
    features[:, :12] += random.exponential(0.1, size=(n, 12))
    columns = 3 * labels[:, None] + np.arange(3) + (12 if outside else 0)
    np.put_along_axis(features, columns, random.uniform(1, 2, size=(n, 3)), axis=1)
    return features, labels
