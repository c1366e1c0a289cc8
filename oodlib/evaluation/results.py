"""Result files: tidy rows as Parquet for programs, and as CSV for people.

The Parquet file has the SHA-256 of its rows, as CSV, in its metadata: a changed byte is noticed when it is read.
"""

import hashlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oodlib.cache import write_atomically
from oodlib.errors import OodlibError

# What a row is about. Two rows that agree in all of these are the same measurement.
KEY = (
    *("profile", "encoder", "tuning", "shots", "id_set", "ood_set"),
    *("detector", "parameters", "metric", "seed"),
)
COLUMNS = (
    *("profile", "encoder", "tuning", "shots", "id_set", "ood_set", "ood_kind", "detector", "parameters"),
    *("transductive", "metric", "value", "low", "high", "n_id", "n_ood", "seed", "run"),
)


SEAL = b"oodlib_sha256"


def write_results(frame: pd.DataFrame, folder: Path, name: str = "detection") -> Path:
    """Write ``<name>.parquet`` and ``<name>.csv`` into a folder, in place of earlier ones; return the Parquet path.

    A file belongs to whoever writes it, and holds the rows of the last run and nothing older. Each of the two files is
    replaced in one step.
    """
    if tuple(frame.columns) != COLUMNS:
        raise OodlibError(f"A table of results has the columns {', '.join(COLUMNS)}, not {', '.join(frame.columns)}.")
    twice = frame[frame.duplicated(list(KEY))]
    if len(twice):
        about = ", ".join(f"{column}={twice.iloc[0][column]}" for column in KEY)
        raise OodlibError(f"{len(twice)} results are given twice, the first is {about}: write each once.")
    path = Path(folder) / f"{name}.parquet"
    write_atomically(path.with_suffix(".csv"), lambda csv: frame.to_csv(csv, index=False, lineterminator="\n"))
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), SEAL: _sha256(table.to_pandas())})
    write_atomically(path, lambda parquet: pq.write_table(table, parquet, write_page_checksum=True))
    return path


def read_results(folder: Path) -> pd.DataFrame:
    """Read all result files of a folder as one table.

    Where two files hold the same measurement, the file written last counts.

    Raises
    ------
    OodlibError
        If there is none, or one cannot be read, or does not hold what was written to it.
    """
    paths = [path for path in Path(folder).glob("*.parquet") if not path.name.startswith(".")]
    if not paths:
        raise OodlibError(f"There are no results in {folder}: run `make reproduce` first.")
    frames: list[pd.DataFrame] = []
    for path in sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name)):
        try:
            # Checksums of pages first: what is behind a wrong one is not even decoded.
            table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
            frame = table.to_pandas()
            sealed, columns = (table.schema.metadata or {}).get(SEAL), frame[list(COLUMNS)]
        except Exception as error:  # of a changed byte pyarrow and pandas raise many kinds
            raise OodlibError(f"{path} is not a readable table of results: delete it and run again.") from error
        if sealed != _sha256(frame):
            raise OodlibError(f"{path} is damaged, or was made by another version of oodlib: delete it and run again.")
        frames.append(columns.assign(file=path.name))
    merged = pd.concat(frames).drop_duplicates(list(KEY), keep="last")
    # By file name, so that the order does not depend on which file was written first.
    return merged.sort_values("file", kind="stable").drop(columns="file").reset_index(drop=True)


def _sha256(frame: pd.DataFrame) -> bytes:
    """Of the rows as CSV, in which a number has all its digits."""
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest().encode()
