//! Signals, sent without `kill`: a bare machine has no such program.

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal, such as `STOP`, to a process.
pub fn send(pid: u32, name: &str) {
    let signal = match name {
        "CONT" => Signal::CONT,
        "HUP" => Signal::HUP,
        "KILL" => Signal::KILL,
        "STOP" => Signal::STOP,
        "TERM" => Signal::TERM,
        other => panic!("{other} is no signal that is known here"),
    };
    kill_process(i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap(), signal).unwrap();
}
