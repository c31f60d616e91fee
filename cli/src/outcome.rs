//! Exit codes of a command: 0 done, 1 failed, 2 usage or configuration.

use std::ffi::OsString;

use clap::Command;
use tributary_runtime::config::settings::LogFormat;
use tributary_runtime::config::{ConfigErrors, Problems};

use crate::{logging, stdout};

/// The arguments of a command are invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl From<Problems> for Usage {
    fn from(problems: Problems) -> Self {
        Self(problems.to_string())
    }
}

/// The command succeeded and found a problem, which it has already printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not everything is well")]
pub struct NotWell;

/// The result of a command that checks something and has printed what it found. A closed output pipe does not change it.
///
/// # Errors
/// [`NotWell`] if it found a problem; else why it could not be printed.
pub fn verdict(well: bool, printed: anyhow::Result<()>) -> anyhow::Result<()> {
    match printed {
        Err(error) if !is_broken_pipe(&error) => Err(error),
        Ok(()) if well => Ok(()),
        Err(error) if well => Err(error),
        _ => Err(NotWell.into()),
    }
}

/// Prints the error, if any, on standard error, and returns the exit code.
pub fn exit(result: anyhow::Result<()>) -> u8 {
    let Err(error) = result else { return 0 };
    if error.is::<NotWell>() {
        return 1;
    }
    if stdout::reader_has_gone() && is_broken_pipe(&error) {
        return 0;
    }
    let misuse = error.is::<ConfigErrors>() || error.is::<Usage>();
    let exit_code = if misuse { 2 } else { 1 };
    match (logging::format(), error.downcast_ref::<ConfigErrors>()) {
        (LogFormat::Text, _) => logging::line(format_args!("error: {}", told(&error))),
        (LogFormat::Json, None) => tracing::error!(exit_code, "{}", told(&error)),
        (LogFormat::Json, Some(ConfigErrors(errors))) => {
            for error in errors {
                tracing::error!(exit_code, key = error.key, origin = %error.origin, "{error}");
            }
        }
    }
    exit_code
}

/// Prints an error in the program's arguments, or the requested help, and returns the exit code.
pub fn misused(error: &clap::Error, arguments: &[OsString], program: &Command) -> u8 {
    if error.use_stderr() {
        let text = masked(&error.render().to_string(), arguments, program);
        match logging::format() {
            LogFormat::Json => tracing::error!(exit_code = error.exit_code(), "{}", text.trim().trim_start_matches("error: ")),
            LogFormat::Text => logging::line(format_args!("{}", text.trim_end())),
        }
    } else {
        // If nobody reads it, nothing can be done.
        let _ = error.print();
    }
    u8::try_from(error.exit_code()).unwrap_or(2)
}

/// A text about the arguments, without values of settings, and without texts that may be such values in the wrong place.
fn masked(text: &str, arguments: &[OsString], program: &Command) -> String {
    let arguments: Vec<_> = arguments.iter().skip(1).map(|argument| argument.to_string_lossy()).collect();
    let mut text = text.to_owned();
    for (at, argument) in arguments.iter().enumerate() {
        if let Some((name, value)) = argument.split_once('=').filter(|(name, value)| name.contains('.') || value.contains('='))
        {
            text = text.replace(argument.as_ref(), &format!("{name}=***")).replace(value, "***");
        }
        let before = |by: usize| at.checked_sub(by).and_then(|at| arguments.get(at));
        let follows_a_setting =
            before(1).is_some_and(|last| last.starts_with("--set=")) || before(2).is_some_and(|last| last == "--set");
        if follows_a_setting && !argument.starts_with('-') && program.find_subcommand(argument.as_ref()).is_none() {
            text = text.replace(&format!("'{argument}'"), "'***'");
        }
    }
    text
}

/// An error and its causes, without causes that the texts before them already contain.
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

/// Whether the error is that the reader of an output has gone.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        io.or_else(|| cause.downcast_ref::<serde_json::Error>()?.io_error_kind())
    };
    error.chain().any(|cause| kind(cause) == Some(std::io::ErrorKind::BrokenPipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_printed_once() {
        let cause = || anyhow::anyhow!("no such file");
        assert_eq!(told(&cause().context("reading it")), "reading it: no such file");
        assert_eq!(
            told(&cause().context("reading it: no such file").context("importing")),
            "importing: reading it: no such file"
        );
    }
    #[test]
    fn a_closed_pipe_changes_no_exit_code() {
        let gone = || Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into());
        let full = || Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into());
        assert!(verdict(true, Ok(())).is_ok());
        for (well, printed, not_well) in
            [(false, Ok(()), true), (false, gone(), true), (true, gone(), false), (false, full(), false), (true, full(), false)]
        {
            assert_eq!(verdict(well, printed).unwrap_err().is::<NotWell>(), not_well);
        }
    }

    #[test]
    fn a_broken_pipe_is_seen_below_the_serialiser() {
        struct Gone;
        impl std::io::Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let error = serde_json::to_writer(Gone, &[1]).unwrap_err();
        assert!(is_broken_pipe(&anyhow::Error::from(error).context("printing")));
    }
}
