"""The Ray cluster of a run: joined or started, what its nodes hold, left again."""

from __future__ import annotations

import importlib
import logging
import os
import re
import socket
from dataclasses import dataclass
from types import ModuleType

from mtmbench.core.errors import InputError

_CONNECT_SECONDS = 5.0
# What Ray reads when it is imported: no usage statistics, no copy of the driver's folder to nodes.
_RAY_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class RayOptions:
    """Which cluster plays a run, and what an actor takes of a node.

    Attributes:
        address: HOST:PORT of the cluster's head; "local" starts one for this run; None takes
            RAY_ADDRESS, else a cluster that runs on this machine, else starts one.
        actor_cores: cores of one actor, which computes on one thread.
        actor_gpus: GPUs of one actor, a whole number or a share of one; 0 plays one actor per
            ``actor_cores`` cores.
        patience: seconds without any actor until the run gives up.
    """

    address: str | None = None
    actor_cores: int = 1
    actor_gpus: float = 0.0
    patience: float = 300.0

    def __post_init__(self) -> None:
        if self.actor_cores < 1:
            raise InputError(f"an actor takes at least 1 core, not {self.actor_cores}")
        if self.actor_gpus < 0 or (self.actor_gpus > 1 and self.actor_gpus % 1):
            raise InputError(
                f"an actor takes a share of one GPU or whole ones, not {self.actor_gpus:g}"
            )


class RayCluster:
    """A connection of this process to a cluster; ``ray`` is the module.

    Args:
        options: the cluster, and the size of an actor.

    Raises:
        InputError: Ray is not installed, there is no cluster at the address, or no node can hold
            an actor.
    """

    def __init__(self, options: RayOptions) -> None:
        self._options = options
        self.ray = _import_ray()
        self._connected_here = False
        self._connect()
        try:
            if not self.capacity():
                raise InputError(self.no_room())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leaves the cluster, and ends it if it was started here."""
        if self._connected_here:
            self.ray.shutdown()
            self._connected_here = False

    def _connect(self) -> None:
        address = self._options.address
        if self.ray.is_initialized():
            if address is not None:
                raise InputError("this process is connected to a Ray cluster: leave address out")
            return
        _knock(address or os.environ.get("RAY_ADDRESS"))
        try:
            self.ray.init(
                address=address, include_dashboard=False, log_to_driver=False,
                logging_level=logging.CRITICAL,
            )  # fmt: skip
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            at = "of this machine" if address is None else f"at {address}"
            raise InputError(
                f"cannot join the Ray cluster {at}: {one_line(error)}; start one by `ray start "
                "--head`, or give --address local to start one for this run alone"
            ) from error
        self._connected_here = True

    def _nodes(self) -> list[tuple[str, float, float]]:
        """Returns address, cores and GPUs of every node that lives."""
        return [
            (
                str(node["NodeManagerAddress"]),
                float(node["Resources"].get("CPU", 0)),
                float(node["Resources"].get("GPU", 0)),
            )
            for node in self.ray.nodes()
            if node["Alive"]
        ]

    def capacity(self) -> int:
        """Returns how many actors the living nodes can hold."""
        cores, gpus = self._options.actor_cores, self._options.actor_gpus
        fits = 0
        for _, node_cores, node_gpus in self._nodes():
            by_cores = int(node_cores // cores)
            if gpus == 0:
                fits += by_cores
            elif gpus < 1:  # no share of one GPU goes with a share of another
                fits += min(by_cores, int(node_gpus) * int(1 / gpus + 1e-9))
            else:
                fits += min(by_cores, int(node_gpus // gpus))
        return fits

    def no_room(self) -> str:
        """Returns what to say when the nodes can hold none."""
        cores, gpus = self._options.actor_cores, self._options.actor_gpus
        nodes = [f"{at} ({cpu:g} cores, {gpu:g} GPUs)" for at, cpu, gpu in self._nodes()]
        return (
            f"no node of the Ray cluster can hold an actor of {cores} cores and {gpus:g} GPUs; "
            f"nodes: {', '.join(nodes) or 'none'}"
        )


def one_line(error: BaseException) -> str:
    """Returns the message of one of Ray's errors, which go over many lines, shortened."""
    return " ".join(str(error).split())[:400] or type(error).__name__


def _import_ray() -> ModuleType:
    for name, value in _RAY_VARIABLES.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise InputError(f"Ray is not installed ({error}): pip install 'mtmbench[ray]'") from error


def _knock(address: str | None) -> None:
    """Raises at once for an address where nobody listens; Ray itself takes a minute to say so."""
    if not address or address in ("auto", "local"):
        return
    if "://" in address:
        raise InputError(
            f"{address}: run this on a node of the cluster and give HOST:PORT; a driver elsewhere "
            "does not see the nodes' files"
        )
    host, separator, port = address.rpartition(":")
    if not separator or not re.fullmatch(r"\d{1,5}", port):
        raise InputError(f"the address of a Ray cluster is HOST:PORT, not {address!r:.60}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"no Ray cluster answers at {address}: {error}") from error
