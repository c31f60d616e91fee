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
    eprintln!("error: {}", told(&error));
    let misuse = error.is::<ConfigErrors>() || error.is::<Usage>();
    ExitCode::from(if misuse { 2 } else { 1 })
}

/// An error and its causes, without those that what stands before them has told.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !told.contains(&cause) {
            told += if told.is_empty() { "" } else { ": " };
            told += &cause;
        }
    }
    told
}

/// Whether the reader of our output has gone, as `head` does: no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    error.chain().any(|cause| kind(cause) == Some(std::io::ErrorKind::BrokenPipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = || anyhow::anyhow!("no such file");
        assert_eq!(told(&cause().context("reading it")), "reading it: no such file");
        assert_eq!(
            told(&cause().context("reading it: no such file").context("importing")),
            "importing: reading it: no such file"
        );
    }
}
