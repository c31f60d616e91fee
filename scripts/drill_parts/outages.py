"""What goes wrong in `scripts/drill outages`, and which alerts fire."""

import contextlib
import os
import signal
import subprocess
import threading
import time

from drill_parts.world import steadily, wait


@contextlib.contextmanager
def broker_away(world):
    world.broker(stop=True)
    yield
    world.broker()


@contextlib.contextmanager
def process_killed(world):
    world.processes["b"].kill()
    world.processes["b"].wait()
    yield
    world.start("b")


@contextlib.contextmanager
def restarts(world):
    for _ in range(3):
        world.processes["b"].kill()
        world.processes["b"].wait()
        world.start("b")
        time.sleep(4)
    yield


@contextlib.contextmanager
def wrong_configuration(world):
    world.processes["b"].terminate()
    world.processes["b"].wait()
    code = world.start("b", WORKER__BATCH_RECORDS="many").wait()
    assert code == 2, code
    yield
    world.start("b")


@contextlib.contextmanager
def disk_full(world):
    # Both states are on it: 3.1 GB, of which 0.4 GB are left.
    blocks = world.folder / "disk" / "filler"
    with open(blocks, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 2500 << 20)
    yield
    blocks.unlink()


@contextlib.contextmanager
def poison(world):
    bad = world.folder / "poison.ndjson"
    bad.write_text("".join(f'{{"what": {number}}}\n' for number in range(8_000)))
    world.tributary("send", "--offline", bad)
    yield
    for partition in range(4):
        world.tributary("dead-letters", "accept", f"offline/{partition}", check=False)


@contextlib.contextmanager
def broken_sender(world):
    bad = world.folder / "broken.ndjson"
    bad.write_text("".join(f'{{"what": {number}}}\n' for number in range(40)))

    def send():
        world.history(people=20)
        world.tributary("send", "--offline", bad)

    with steadily(world, send):
        yield


@contextlib.contextmanager
def slow_consumers(world):
    """Both processes get an eighth of their time, while more comes than they can work off."""
    # Small batches: one that takes long would look like no progress.
    for name in ("a", "b"):
        world.processes[name].terminate()
        world.processes[name].wait()
        world.start(name, WORKER__BATCH_RECORDS="500")
        world.ready(name)
    ended = threading.Event()

    def hold():
        while not ended.is_set():
            for process in (world.processes["a"], world.processes["b"]):
                process.send_signal(signal.SIGSTOP)
            time.sleep(0.35)
            for process in (world.processes["a"], world.processes["b"]):
                process.send_signal(signal.SIGCONT)
            time.sleep(0.05)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        with steadily(world, lambda: world.history(people=100)):
            # Credit is late after a minute, which is not shortened.
            time.sleep(75)
            yield
    finally:
        ended.set()
        holder.join()


@contextlib.contextmanager
def nothing(world):
    world.history()
    yield


OUTAGES = {
    "nothing at all": (nothing, set()),
    "the broker is away": (broker_away, {"TributaryBrokersUnreachable"}),
    "a process is killed": (process_killed, {"TributaryProcessDown"}),
    "a process is killed three times": (restarts, {"TributaryRestartLoop"}),
    "a configuration that cannot be used": (wrong_configuration, {"TributaryProcessDown"}),
    "poison": (poison, {"TributaryPartitionStopped"}),
    "a sender that broke": (broken_sender, {"TributaryDeadLetters"}),
    "consumers that are too slow": (slow_consumers, {"TributaryLagGrows", "TributaryFreshnessBurnsFast", "TributaryFreshnessBurnsSlowly"}),
    # The last, for its trace in the free space would be that of a disk that fills.
    "a full disk": (disk_full, {"TributaryDiskFull"}),
}


def outages(world, names):
    disk = world.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3000m", "tmpfs", disk], check=True)
    try:
        for name in ("a", "b"):
            (world.folder / name).symlink_to(disk / name)
            (disk / name).mkdir()
            world.start(name)
            world.ready(name)
        world.prometheus(["a", "b"])
        world.history()
        wait("peace", lambda: world.query("tributary:consumer_lag_records:sum") and not world.firing())
        well = True
        print("| what happened | alerts that fired | as it should be |\n|---|---|---|")
        for name in names:
            outage, expected = OUTAGES[name]
            fired = set()
            with outage(world):
                until = time.monotonic() + 60
                while time.monotonic() < until:
                    fired |= world.firing()
                    time.sleep(1)
            # What only its end brings about counts, too.
            wait(f"peace after {name}", lambda: (fired.update(now := world.firing()), not now)[1], 420)
            right = fired == expected
            well &= right
            print(f"| {name} | {', '.join(sorted(fired)) or 'none'} | {'yes' if right else 'no: ' + (', '.join(sorted(expected)) or 'none')} |", flush=True)
        return well
    finally:
        world.end()
        world.children.clear()
        subprocess.run(["umount", "--lazy", disk], check=False)
