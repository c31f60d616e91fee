//! How a command ends: 0 done, 1 failed, 2 usage or configuration.

use std::process::ExitCode;

use tributary_runtime::config::{ConfigErrors, Problems};

/// The arguments of a command cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl From<Problems> for Usage {
    fn from(problems: Problems) -> Self {
        Self(problems.0.iter().map(|(key, problem)| format!("{key}: {problem}")).collect::<Vec<_>>().join("\n"))
    }
}

/// The command did what it should, and found that something is not well: what is wrong is already printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not everything is well")]
pub struct NotWell;

/// Prints the error, if any, to standard error, and gives the exit code.
pub fn exit(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if error.is::<NotWell>() || is_broken_pipe(&error) {
        return ExitCode::from(u8::from(error.is::<NotWell>()));
    }
    eprintln!("error: {error:#}");
    let misuse = error.is::<ConfigErrors>() || error.is::<Usage>();
    ExitCode::from(if misuse { 2 } else { 1 })
}

/// Whether the reader of our output has gone, as `head` does: no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    error.chain().any(|cause| kind(cause) == Some(std::io::ErrorKind::BrokenPipe))
}
