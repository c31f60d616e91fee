//! A process looked at from the outside, second by second, as an operator and a scraper see it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longest wait for anything: a failing test ends, a slow machine passes.
const PATIENCE: Duration = Duration::from_secs(180);
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A running process; killed when dropped.
pub struct Watched {
    child: Child,
    pub view: View,
}

/// How it is looked at.
#[derive(Clone)]
pub struct View {
    address: String,
    log: PathBuf,
}

/// What is seen of it at a time.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Whether `/readyz` reports ready, and its text; `None`: no answer.
    pub ready: Option<bool>,
    pub reasons: String,
    pub live: Option<bool>,
    pub page: String,
    /// When that was, seconds since 1970-01-01 UTC.
    pub at_s: f64,
}

impl Look {
    /// The series of a metric: its labels as they are written, and its value.
    pub fn series(&self, name: &str) -> BTreeMap<String, f64> {
        let of = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let labels = series.strip_prefix(name)?;
            let whole = labels.is_empty() || labels.starts_with('{');
            whole.then(|| (labels.to_owned(), value.parse().unwrap()))
        };
        self.page.lines().filter(|line| !line.starts_with('#')).filter_map(of).collect()
    }

    /// The sum of the series of a metric; `None` where there is none.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let series = self.series(name);
        (!series.is_empty()).then(|| series.values().sum())
    }

    pub fn lags(&self) -> BTreeMap<String, f64> {
        self.series("tributary_consumer_lag_records")
    }

    pub fn brokers(&self) -> Option<f64> {
        self.sum("tributary_brokers_reachable")
    }

    /// Seconds since any stage committed.
    pub fn since_commit(&self) -> Option<f64> {
        let latest = self.series("tributary_last_commit_timestamp_seconds").into_values().reduce(f64::max)?;
        Some(self.at_s - latest)
    }
}

impl View {
    /// Status and body of a page; `None`: no answer.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(ANSWER)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    pub fn look(&self) -> Look {
        let (ready, live) = (self.get("/readyz"), self.get("/livez"));
        let page = self.get("/metrics").map(|(_, page)| page).unwrap_or_default();
        let reasons = ready.as_ref().map(|(_, body)| body.clone()).unwrap_or_default();
        let at_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        Look { ready: ready.map(|(status, _)| status == 200), reasons, live: live.map(|(status, _)| status == 200), page, at_s }
    }

    /// What it has written on its standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Watched {
    /// Starts a command that serves HTTP, with its standard error in a file.
    pub fn start(mut command: Command, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let before = fs::metadata(&log).unwrap().len() as usize;
        let child = command.stderr(file).spawn().unwrap();
        let mut watched = Self { child, view: View { address: String::new(), log } };
        let until = Instant::now() + PATIENCE;
        while watched.view.address.is_empty() {
            watched.must_run("served");
            assert!(Instant::now() < until, "never served: {}", watched.view.log());
            let log = watched.view.log();
            // `... started stages="..." http=127.0.0.1:4711 version="0.1.0"`
            let started = log.get(before..).unwrap_or_default().lines().find(|line| line.contains(" started "));
            let address = started.and_then(|line| line.split("http=").nth(1)?.split(' ').next());
            watched.view.address = address.unwrap_or_default().to_owned();
            sleep(Duration::from_millis(20));
        }
        watched
    }

    /// Looks until it is as expected.
    pub fn wait(&mut self, what: &str, is_so: impl Fn(&Look) -> bool) -> Look {
        let until = Instant::now() + PATIENCE;
        loop {
            let look = self.view.look();
            if is_so(&look) {
                return look;
            }
            self.must_run(what);
            assert!(Instant::now() < until, "never {what}: {look:#?}\n{}", self.view.log());
            sleep(Duration::from_millis(100));
        }
    }

    fn must_run(&mut self, what: &str) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended before it was {what}: {}", self.view.log());
    }

    /// SIGTERM; the exit must be clean. Returns how long it took.
    pub fn terminate(mut self) -> Duration {
        let begun = Instant::now();
        super::signal::send(self.child.id(), "TERM");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.view.log());
        begun.elapsed()
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

/// What was seen in one second.
#[derive(Debug, Clone)]
pub struct Row {
    pub second: u64,
    pub at: Instant,
    pub look: Look,
    /// What it logged meanwhile.
    pub said: Vec<String>,
}

/// Looks every second, until it is ended.
pub struct Recording {
    stop: Arc<AtomicBool>,
    notes: Arc<Mutex<Vec<String>>>,
    thread: JoinHandle<Vec<Row>>,
}

impl Recording {
    pub fn begin(view: View) -> Self {
        let (stop, notes) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::<String>::new())));
        let (stopped, noted) = (stop.clone(), notes.clone());
        let thread = std::thread::spawn(move || {
            let (begun, mut told, mut rows) = (Instant::now(), view.log().len(), Vec::new());
            for second in 0.. {
                sleep((begun + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
                let last = stopped.load(Ordering::Relaxed);
                let (at, look, log) = (Instant::now(), view.look(), view.log());
                let mut said: Vec<String> = noted.lock().unwrap().drain(..).collect();
                said.extend(log.get(told..).unwrap_or_default().lines().map(str::to_owned));
                told = log.len();
                rows.push(Row { second, at, look, said });
                if last {
                    break;
                }
            }
            rows
        });
        Self { stop, notes, thread }
    }

    /// What was done to it from outside is told among what it says.
    pub fn note(&self, what: &str) {
        self.notes.lock().unwrap().push(format!("==== {what} ===="));
    }

    /// Looks once more, and returns all that was seen.
    pub fn end(self) -> Vec<Row> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// The table of what was seen.
pub fn table(rows: &[Row]) -> String {
    let mut text =
        format!("{:>4}  {:>6}  {:>4}  {:>7}  {:>7}  {:>12}  said\n", "s", "readyz", "live", "lag", "brokers", "since commit");
    let number = |number: Option<f64>, digits: usize| number.map_or("-".to_owned(), |number| format!("{number:.digits$}"));
    let status = |well: Option<bool>| well.map_or("-", |well| if well { "200" } else { "503" });
    for Row { second, look, said, .. } in rows {
        let lag = look.sum("tributary_consumer_lag_records");
        text += &format!(
            "{second:>4}  {:>6}  {:>4}  {:>7}  {:>7}  {:>12}  ",
            status(look.ready),
            status(look.live),
            number(lag, 0),
            number(look.brokers(), 0),
            number(look.since_commit(), 1)
        );
        let why = look.reasons.trim_end().replace('\n', "; ");
        let first = if look.ready == Some(false) { format!("[{why}]") } else { String::new() };
        let lines: Vec<String> =
            std::iter::once(first).chain(said.iter().map(|line| brief(line))).filter(|line| !line.is_empty()).collect();
        text += &(lines.join(&format!("\n{:>50}", "")) + "\n");
    }
    text
}

/// A line of the log without its time, and not longer than a screen is wide.
fn brief(line: &str) -> String {
    let line = line.split_once("Z ").map_or(line, |(_, rest)| rest).trim();
    line.chars().take(180).collect()
}
