"""Running the papers' protocols: for every encoder and every protocol that can be run, the rows of its table.

What cannot be run, because a set, the weights or a list of words is not there, has a reason instead of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from oodlib.errors import OodlibError
from oodlib.evaluation.results import COLUMNS
from oodlib.experiments.pictures import Shelf
from oodlib.experiments.profile_parts import TIMM, EncoderChoice
from oodlib.experiments.profiles import Profile
from oodlib.experiments.protocol_parts import FeatureProtocol, NameProtocol, Protocol

if TYPE_CHECKING:  # a profile without photographs loads no model, whose imports take seconds
    from oodlib.encoders.load import Encoder
    from oodlib.experiments.feature_trial import FeatureTrial
    from oodlib.experiments.trial import Trial
    from oodlib.tuning import Shots

FIRST_ONLY = "this run takes only the first of a protocol's encoders"


@dataclass
class Outcome:
    """What came of a profile's protocols.

    Attributes
    ----------
    rows : DataFrame
        Tidy rows of everything that was run.
    ran : list of (protocol, encoder)
        Those that gave rows.
    reasons : dict of (protocol, encoder) to str
        Why one was not run, or not on all of its sets.
    specs : dict of str to dict
        The specification of every encoder that was used.
    """

    rows: pd.DataFrame
    ran: list[tuple[str, str]]
    reasons: dict[tuple[str, str], str]
    specs: dict[str, dict[str, Any]]


def run_protocols(run: Profile, current: str) -> Outcome:
    """Run every protocol of a profile under every one of its encoders, as far as that can be done.

    Parameters
    ----------
    run : Profile
    current : str
        Id of the run, for the rows.
    """
    found = Outcome(pd.DataFrame(columns=list(COLUMNS)), [], {}, {})
    tables = []
    for named, choice in run.encoders.items():
        encoder, refused, taken = None, "", dict[tuple[Any, ...], "Shots"]()
        for label, protocol in run.tables.items():
            if named not in protocol.encoders:
                continue
            shelf, reason = _shelf(run, protocol, named)
            if reason:
                found.reasons[label, named] = reason
            if shelf is None:
                continue
            if encoder is None and not refused:
                encoder, refused = _loaded(choice)  # once: a host that does not answer takes seconds to say so
            if encoder is None:
                found.reasons[label, named] = refused
                continue
            try:
                rows = _trial(run, label, protocol, encoder, choice.label, shelf, taken).rows(current)
            except OodlibError as error:
                found.reasons[label, named] = str(error)
                continue
            tables.append(rows)
            found.ran.append((label, named))
            found.specs[named] = encoder.spec | {"digest": encoder.digest}
    if tables:
        found.rows = pd.concat(tables, ignore_index=True)
    return found


def _shelf(run: Profile, protocol: Protocol, named: str) -> tuple[Shelf | None, str]:
    """The sets that a protocol can be run on under an encoder, None if it cannot; and why not, or not on all."""
    if protocol.not_run:
        return None, protocol.not_run
    if named not in protocol.encoders[: run.amounts.protocols.encoders]:
        return None, FIRST_ONLY
    shelf = Shelf(run.photo_root, protocol.names)
    missing = [name for name in protocol.names_of_sets if not shelf.has(name)]
    some = not all({one, other} & set(missing) for one, _, other in protocol.pairs)
    return shelf if some else None, f"not there: {', '.join(missing)}" if missing else ""


def _trial(
    run: Profile,
    label: str,
    protocol: Protocol,
    encoder: Encoder,
    named: str,
    shelf: Shelf,
    taken: dict[tuple[Any, ...], Shots],
) -> Trial | FeatureTrial:
    from oodlib.experiments.feature_trial import FeatureTrial
    from oodlib.experiments.trial import Trial

    if isinstance(protocol, FeatureProtocol):
        return FeatureTrial(run, label, protocol, encoder, named, shelf)
    assert isinstance(protocol, NameProtocol)  # there are no others
    return Trial(run, label, protocol, encoder, named, shelf, taken)


def _loaded(choice: EncoderChoice) -> tuple[Encoder | None, str]:
    """An encoder, or why it cannot be had."""
    from oodlib.encoders.load import load_encoder
    from oodlib.encoders.timm_towers import load_timm

    try:
        if choice.name.startswith(TIMM):
            return load_timm(choice.name.removeprefix(TIMM), choice.pretrained, device=choice.options()["device"]), ""
        return load_encoder(**choice.options()), ""
    except OodlibError as error:
        return None, str(error)
