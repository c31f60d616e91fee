//! Standard output: the only place that writes to it. If the reader closes the pipe, as `head` does, every command ends quietly.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, IsTerminal, Stdout, StdoutLock, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::visible::{Visible, visible};

/// Whether the reader of our output has gone.
static GONE: AtomicBool = AtomicBool::new(false);

/// Standard output, locked.
pub struct Out(StdoutLock<'static>);

/// Locks standard output.
pub fn out() -> Out {
    Out(stdout().lock())
}

#[allow(clippy::disallowed_methods, reason = "this is the one place")]
fn stdout() -> Stdout {
    io::stdout()
}

/// Whether it is a terminal.
pub fn is_terminal() -> bool {
    stdout().is_terminal()
}

/// Whether a write has shown that the reader has gone.
pub fn reader_has_gone() -> bool {
    GONE.load(Ordering::Relaxed)
}

/// Standard output for text and JSON: control characters are [made visible](crate::visible).
pub fn text() -> Visible<Out> {
    Visible::new(out())
}

/// Standard output for records: control characters are made visible only on a terminal.
pub fn records() -> Box<dyn Write> {
    if is_terminal() { Box::new(text()) } else { Box::new(out()) }
}

/// Writes a line, for the macro `outln`.
///
/// # Errors
/// When it cannot be written.
pub fn line(text: Arguments<'_>) -> io::Result<()> {
    writeln!(out(), "{}", visible(&text.to_string()))
}

/// `println!` that does not panic, but returns an error.
macro_rules! outln {
    ($($text:tt)*) => { $crate::stdout::line(format_args!($($text)*)) };
}
pub(crate) use outln;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        noted(self.0.write(bytes))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        noted(self.0.write_all(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        noted(self.0.flush())
    }
}

fn noted<T>(written: io::Result<T>) -> io::Result<T> {
    if written.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        GONE.store(true, Ordering::Relaxed);
    }
    written
}
