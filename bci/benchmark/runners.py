"""Where work runs: in this process, in worker processes here, or on a Dask cluster.

A runner maps a function over items and gives the results back as they come, each
with the number of its item.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from joblib import Parallel, cpu_count, delayed, parallel_config

from bci.errors import BciError
from bci.extras import optional

T = TypeVar("T")

#: Times that a Dask task is tried again when its worker dies; Dask gives up a task after three.
RETRIES = 3
#: Seconds that a scheduler has to answer.
CONNECT_S = 10.0


class Runner(Protocol):
    """Maps a function over items, in any order."""

    #: How many items are worked on at once, roughly.
    width: int

    def map(self, function: Callable[..., T], items: Sequence[tuple[Any, ...]]) -> Iterator[T]:
        """``function(*item)`` for each item, as they come."""
        ...


class WorkersDied(BciError):
    """A worker process was killed, for its memory most often; what is done is stored."""


#: What loky's tracker says of semaphores that ended workers left, as it removes them: no news.
TRACKER = "ignore:resource_tracker"


class Here:
    """In this process, one item after the other."""

    width = 1

    def map(self, function: Callable[..., T], items: Sequence[tuple[Any, ...]]) -> Iterator[T]:
        """See `Runner`."""
        return (function(*item) for item in items)


class Processes:
    """In worker processes of joblib's loky, with one BLAS thread each.

    Parameters
    ----------
    n : int
        Number of processes.
    """

    def __init__(self, n: int) -> None:
        self.width = n
        given = os.environ.get("PYTHONWARNINGS", "")
        if TRACKER not in given:  # read by the tracker's process when it starts
            os.environ["PYTHONWARNINGS"] = f"{given},{TRACKER}".lstrip(",")

    def map(self, function: Callable[..., T], items: Sequence[tuple[Any, ...]]) -> Iterator[T]:
        """See `Runner`.

        Raises
        ------
        WorkersDied
            A process ended without an answer.
        """
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        try:
            with (
                parallel_config(backend="loky", inner_max_num_threads=1),
                warnings.catch_warnings(),
            ):
                # loky starts a process anew when it has grown; the epochs kept there are read again
                warnings.filterwarnings("ignore", "A worker stopped while", UserWarning)
                yield from Parallel(
                    n_jobs=self.width, return_as="generator_unordered", batch_size=1
                )(delayed(function)(*item) for item in items)
        except TerminatedWorkerError as error:
            raise WorkersDied("a worker process was killed (out of memory?)") from error


class Dask:
    """On a cluster whose scheduler listens at an address such as ``tcp://host:8786``.

    The workers need this package, and the data under the same paths.

    Raises
    ------
    MissingDependency, BciError
        dask.distributed is not installed; no scheduler answers.
    """

    def __init__(self, address: str) -> None:
        distributed = optional("distributed", f"scheduler '{address}'", "benchmark")
        try:
            self.client = distributed.Client(address, timeout=CONNECT_S)
        except (OSError, ValueError) as error:
            raise BciError(
                f"no Dask scheduler answers at '{address}': start one with 'dask scheduler', or "
                "mend the address"
            ) from error
        self.width = max(1, sum(self.client.nthreads().values()))

    def map(self, function: Callable[..., T], items: Sequence[tuple[Any, ...]]) -> Iterator[T]:
        """See `Runner`; a task whose worker dies goes to another one.

        Raises
        ------
        WorkersDied
            One and the same task was there when several workers died.
        """
        from distributed import KilledWorker, as_completed

        futures = [
            self.client.submit(function, *item, pure=False, retries=RETRIES) for item in items
        ]
        try:
            for future in as_completed(futures):
                yield future.result()
                future.release()
        except KilledWorker as error:
            raise WorkersDied(f"several Dask workers died at one task: {error}") from error
        finally:
            self.client.cancel(futures)

    def close(self) -> None:
        """Take leave of the scheduler."""
        self.client.close()


@contextmanager
def opened(scheduler: str | None, n_jobs: int | None) -> Iterator[Runner]:
    """Runner on the Dask scheduler at an address, or of this machine (None); closed at the end.

    Raises as `Dask`.
    """
    if scheduler is None:
        yield local(n_jobs)
        return
    cluster = Dask(scheduler)
    try:
        yield cluster
    finally:
        cluster.close()


def local(n_jobs: int | None) -> Runner:
    """Runner of this machine: `n_jobs` processes; None: as many as there are cores."""
    n = int(cpu_count()) if n_jobs is None or n_jobs < 1 else n_jobs
    return Here() if n == 1 else Processes(n)
