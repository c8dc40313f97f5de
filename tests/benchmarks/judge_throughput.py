"""Questions a second against a server that answers in 200 ms, and memory over 20,000 of them.

Run it: ``python -P tests/benchmarks/judge_throughput.py [--calls 20000] [--concurrency 64]``.
The local server (tests/support/chat_server.py) runs in a process of its own. The ideal rate is
concurrency / delay. Every answer goes through rate limiter, client and ledger as in a run. Memory
is what the process holds after a tenth of the calls and at the end. CPU time is of this process
with all of its threads, and of the server, over the timed calls: what a machine that is busy with
other work cannot change. Exit status 1 below 95 % of the ideal rate, or if memory grew by more than
5 %.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from mtmbench.core.cards import (
    EndpointSpec,
    JudgeCard,
    LimitSpec,
    PriceSpec,
)
from mtmbench.judges.asker import Asker
from mtmbench.judges.base import Question
from mtmbench.judges.clients.openai_chat import OpenAIJudge
from mtmbench.judges.ledger import Ledger

SERVER = Path(__file__).parents[1] / "support" / "chat_server.py"
DOCUMENT = "The senate passed the budget bill after a long debate about roads and schools. " * 12


@dataclass(frozen=True)
class Measured:
    """Calls a second without the first 2 × concurrency, and what they took.

    Attributes:
        rate: calls a second.
        cpu: milliseconds of CPU that a call took in this process.
        early: memory in MiB after a tenth of the calls.
        late: at the end.
    """

    rate: float
    cpu: float
    early: float
    late: float


def main() -> int:
    """Prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--delay", type=float, default=0.2)
    arguments = parser.parse_args()
    os.environ["NO_PROXY"] = "127.0.0.1"
    server = subprocess.Popen(
        [sys.executable, "-P", str(SERVER), "--delay", str(arguments.delay)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        found = asyncio.run(measure(url, arguments.calls, arguments.concurrency))
        served = cpu_seconds(server.pid) / (arguments.calls + 2 * arguments.concurrency)
    finally:
        server.kill()
        server.wait()
    ideal = arguments.concurrency / arguments.delay
    grown = found.late / found.early - 1
    print(f"{arguments.calls} calls of {arguments.delay} s, concurrency {arguments.concurrency}")
    print(f"rate: {found.rate:.1f} a second, {found.rate / ideal:.1%} of {ideal:.0f}")
    print(
        f"CPU: {found.cpu:.2f} ms a call here, of {1000 / ideal:.2f} that one core has for it; "
        f"{1000 * served:.2f} ms in the server"
    )
    print(f"load of the machine over the last minute: {os.getloadavg()[0]:.1f}")
    print(
        f"memory: {found.early:.1f} MiB after a tenth, {found.late:.1f} at the end ({grown:+.1%})"
    )
    return 0 if found.rate >= 0.95 * ideal and grown <= 0.05 else 1


async def measure(url: str, calls: int, concurrency: int) -> Measured:
    """Asks ``calls`` questions; begins to count time when all connections are open."""
    card = JudgeCard(
        client="openai", model="small", endpoint=EndpointSpec(base_url=url),
        prices=PriceSpec(input=1, output=4), limits=LimitSpec(concurrency=concurrency),
        decoding={"temperature": 0, "max_tokens": 100},
    )  # fmt: skip
    client = OpenAIJudge.from_card(card)
    numbers = iter(range(calls + 2 * concurrency))
    memory: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(Path(folder) / "answers.sqlite") as ledger,
    ):
        asker = Asker(client, card, ledger)

        async def ask_on(until: int) -> None:
            while (number := next(numbers, None)) is not None:
                messages = (
                    {"role": "system", "content": "You compare two sets of topics."},
                    {"role": "user", "content": f"{number}: {DOCUMENT}"},
                )
                await asker.ask(Question("match", {}, (), messages), "question")
                if number == until:
                    memory.append(resident())
                if number == 2 * concurrency - 1:
                    started.append((time.monotonic(), time.process_time()))

        started: list[tuple[float, float]] = []
        # Twice as many ask as may be under way, as matches do.
        await asyncio.gather(*[ask_on(calls // 10) for _ in range(2 * concurrency)])
        wall, cpu = time.monotonic() - started[0][0], time.process_time() - started[0][1]
        memory.append(resident())
        await client.close()
    return Measured(calls / wall, 1000 * cpu / calls, *memory)


def cpu_seconds(pid: int) -> float:
    """Returns the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident() -> float:
    """Returns the memory that this process holds, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    sys.exit(main())
