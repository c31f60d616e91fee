"""A broker, processes and a real Prometheus, for `scripts/drill`."""

import base64
import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = pathlib.Path(os.environ.get("TRIBUTARY", ROOT / "target" / "release" / "tributary"))
FASTER = 20
WRITE_KEY = "drill-key"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def faster(rules):
    """The same rules in a part of the time."""
    short = lambda count, unit: f"{max(5, int(count) * SECONDS[unit] // FASTER)}s"
    rules = re.sub(r"\[(\d+)([smhd])\]", lambda found: f"[{short(*found.groups())}]", rules)
    rules = re.sub(r"for: (\d+)([smhd])", lambda found: f"for: {short(*found.groups())}", rules)
    # How old the last commit, the last turn, and late credit may be.
    rules = rules.replace("24 * 3600", str(24 * 3600 // FASTER))
    rules = rules.replace("< 180)", f"< {180 // FASTER})").replace("> 120)", f"> {120 // FASTER})")
    return rules


def wait(what, condition, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError):
            if found := condition():
                return found
        time.sleep(0.5)
    raise SystemExit(f"drill: waited {seconds} s in vain for: {what}")


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


class World:
    """A broker, processes, and Prometheus, in a folder that goes with them."""

    def __init__(self, folder):
        self.folder = folder
        self.children = []
        self.ports = {name: free_port() for name in ("prometheus", "audit", "collector", "a", "b", "c")}
        self.processes = {}
        self.seed = 0
        self.broker()
        self.tributary("topics", "create")
        self.serve_audit()

    def broker(self, stop=False):
        where = ["--dir", str(self.folder / "kafka")]
        if stop:
            subprocess.run([ROOT / "scripts/kafka/broker", "stop", *where], check=True, capture_output=True)
            return
        started = subprocess.run(
            [ROOT / "scripts/kafka/broker", "start", *where, "--port", "0", "--owner", str(os.getpid())], capture_output=True, text=True
        )
        if started.returncode:
            say(started.stderr)
            sys.exit(started.returncode)
        self.address = started.stdout.split()[-1]

    def environment(self, **more):
        settings = {
            "KAFKA__BROKERS": self.address,
            "STATE__PATH": str(self.folder / "cli"),
            "WORKER__MEMORY_MB": "512",
            "COLLECTOR__WRITE_KEYS__WEB": WRITE_KEY,
        } | more
        return os.environ | {f"TRIBUTARY_{key}": value for key, value in settings.items()}

    def tributary(self, *arguments, check=True, **more):
        command = [BINARY, *map(str, arguments)]
        done = subprocess.run(command, env=self.environment(**more), capture_output=True, text=True)
        if check and done.returncode:
            raise SystemExit(f"drill: {' '.join(map(str, command))}: {done.stderr}")
        return done

    def start(self, name, *arguments, **more):
        settings = {
            "HTTP__LISTEN": f"127.0.0.1:{self.ports[name]}",
            "KAFKA__INSTANCE": name,
            "STATE__PATH": str(self.folder / name),
        } | more
        log = open(self.folder / f"{name}.log", "a")
        process = subprocess.Popen([BINARY, "run", *arguments], env=self.environment(**settings), stdout=log, stderr=log)
        self.children.append(process)
        self.processes[name] = process
        return process

    def ready(self, name):
        wait(f"{name} to be ready", lambda: get(f"http://127.0.0.1:{self.ports[name]}/readyz"))

    def serve_audit(self):
        folder = self.folder / "audit"
        folder.mkdir()

        class Files(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *given):
                super().__init__(*given, directory=str(folder))

            def copyfile(self, source, to):
                # Prometheus may have given up.
                with contextlib.suppress(BrokenPipeError):
                    super().copyfile(source, to)

            def log_message(self, *_):
                pass

        self.tributary("audit", "--credits", "--metrics", folder / "metrics", check=False)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", self.ports["audit"]), Files)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def audit(self):
        return self.tributary("audit", "--metrics", self.folder / "audit" / "metrics", check=False)

    def prometheus(self, targets):
        folder = self.folder / "prometheus"
        folder.mkdir(exist_ok=True)
        for rules in ("recording.yml", "alerts.yml"):
            (folder / rules).write_text(faster((ROOT / "deploy/prometheus" / rules).read_text()))
        jobs = {"tributary": [self.ports[name] for name in targets], "node": [self.ports["audit"]]}
        scrape = [{"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]} for job, ports in jobs.items()]
        settings = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                    "rule_files": ["recording.yml", "alerts.yml"], "scrape_configs": scrape}
        (folder / "prometheus.yml").write_text(json.dumps(settings))
        command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                   f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}", "--log.level=warn"]
        with open(self.folder / "prometheus.log", "a") as log:
            self.children.append(subprocess.Popen(command, stdout=log, stderr=log))
        wait("Prometheus", lambda: get(f"http://127.0.0.1:{self.ports['prometheus']}/-/ready"))

    def ask(self, text, seconds=None):
        """What Prometheus answers: now, or of so many seconds up to now."""
        asked = {"query": text} | ({"start": time.time() - seconds, "end": time.time(), "step": 2} if seconds else {})
        url = f"http://127.0.0.1:{self.ports['prometheus']}/api/v1/query{'_range' if seconds else ''}?" + urllib.parse.urlencode(asked)
        try:
            return json.loads(get(url))["data"]["result"]
        except urllib.error.HTTPError as error:
            raise SystemExit(f"drill: {text}: {error.read().decode()}") from None

    def query(self, text):
        return [one["value"][1] for one in self.ask(text) if one["value"][1] != "NaN"]

    def firing(self):
        alerts = json.loads(get(f"http://127.0.0.1:{self.ports['prometheus']}/api/v1/alerts"))["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def history(self, people=60):
        """Sends another invented history."""
        self.seed += 1
        made = self.folder / "history"
        shutil.rmtree(made, ignore_errors=True)
        self.tributary("generate", "--out", made, "--people", people, "--seed", self.seed)
        self.tributary("send", "--sdk", made / "sdk.ndjson", "--utm", made / "utm.ndjson", "--webhook", made / "webhook.ndjson",
                       "--offline", made / "offline.ndjson", "--offline", made / "offline.csv")

    def collect(self, message, path="/v1/track"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['collector']}{path}", json.dumps(message).encode(),
                                         {"content-type": "application/json", "authorization": "Basic " + base64.b64encode(f"{WRITE_KEY}:".encode()).decode()})
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=10).read()

    def end(self):
        for child in self.children:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
        for child in self.children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(20)
            if child.poll() is None:
                child.kill()
        self.broker(stop=True)


@contextlib.contextmanager
def steadily(world, send):
    """Does `send` every second until its end."""
    ended = threading.Event()

    def work():
        while not ended.wait(1):
            send()

    sender = threading.Thread(target=work)
    sender.start()
    try:
        yield
    finally:
        ended.set()
        sender.join()
