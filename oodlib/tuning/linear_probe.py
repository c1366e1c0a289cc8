"""A linear probe: a classifier on kept features that forgets the class names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.tuning.base import Session, Shots, Tuned, Tuner


class LinearProbe(Tuner):
    r"""Multinomial logistic regression on image features, by L-BFGS.

    Concepts match by :math:`(W f + b) / \kappa`, so that a softmax at the model's own temperature is the probe's.

    Parameters
    ----------
    C : float, default=1.0
        Inverse of the weight of the L2 penalty as in scikit-learn, for features of length 1 times the logit scale.
    iterations : int, default=1000
        Of L-BFGS at most.

    Notes
    -----
    CoOp's code searches C on validation shots, from 1e-6 to 1e6. With one or two shots a class there are none to spare:
    it is given, or chosen on other pictures by the caller.

    References
    ----------
    Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021, section 3.2; the
    code of CoOp (lpclip).
    """

    def __init__(self, C: float = 1.0, iterations: int = 1000):
        self.C = C
        self.iterations = iterations

    def learn(self, encoder: Encoder, concepts: Concepts, shots: Shots, session: Session) -> Tuned:
        if len(shots.labels.unique()) < len(concepts.names):
            raise OodlibError("a linear probe needs at least one shot of every class: it knows no class by its name.")
        weight, bias = self.solve(concepts, shots)

        def match(features: Tensor) -> Tensor:
            return (features @ weight.to(features).T + bias.to(features)) / concepts.logit_scale

        return Tuned(replace(concepts, match=match), {"weight": weight, "bias": bias})

    def solve(self, concepts: Concepts, shots: Shots) -> tuple[Tensor, Tensor]:
        """Weight (C, D) and bias (C,) of the probe; logits are in units of one."""
        views, scale = shots.features, concepts.logit_scale
        inputs = (scale * views.reshape(-1, views.shape[2])).numpy().astype(np.float64)
        # Every view is an input; the penalty must not fade as their number grows.
        probe = LogisticRegression(C=self.C / (scale**2 * len(views)), max_iter=self.iterations)
        probe.fit(inputs, shots.labels.repeat(len(views)).numpy())
        weight, bias = probe.coef_, probe.intercept_
        if len(concepts.names) == 2:  # scikit-learn keeps one row for two classes
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        return torch.from_numpy(scale * weight).float(), torch.from_numpy(bias).float()
