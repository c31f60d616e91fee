//! Progress of long work: a bar on a terminal, otherwise an occasional log line.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tributary_runtime::config::settings::LogFormat;

use crate::logging;

/// Time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The display is updated once per this many, so that it costs nothing.
const SHOW_EVERY: u64 = 1_000;

/// Shows the progress of some work.
pub struct Progress {
    label: &'static str,
    total: Option<u64>,
    done: u64,
    unshown: u64,
    started: Instant,
    line_due: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress of `total` pieces, if known.
    pub fn new(label: &'static str, total: Option<u64>) -> Self {
        let started = Instant::now();
        let bar = (std::io::stderr().is_terminal() && logging::format() == LogFormat::Text).then(|| bar(label, total));
        Self { label, total, done: 0, unshown: 0, started, line_due: started + LINE_EVERY, bar }
    }

    /// Counts pieces as done.
    pub fn add(&mut self, pieces: u64) {
        self.done += pieces;
        self.unshown += pieces;
        if self.unshown >= SHOW_EVERY {
            self.show();
        }
    }

    fn show(&mut self) {
        self.unshown = 0;
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if Instant::now() >= self.line_due => {
                self.line_due = Instant::now() + LINE_EVERY;
                let total = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
                tracing::info!("{}: {}{total}, {} a second", self.label, self.done, self.per_second());
            }
            None => {}
        }
    }

    /// Pieces a second so far.
    pub fn per_second(&self) -> u64 {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.done.saturating_mul(1_000) / millis
    }

    /// Pieces done.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Ends the display.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.set_position(self.done);
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn bar(label: &'static str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}"),
        None => (ProgressBar::no_length(), "{msg} {spinner} {human_pos} {per_sec}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(label)
}
