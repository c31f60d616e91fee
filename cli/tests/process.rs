//! The binary as a process among others: who reads its output may go away, its signals, what it says on standard error, its ports.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

#[path = "process/broken_pipes.rs"]
mod broken_pipes;
#[path = "process/commands.rs"]
mod commands;
#[path = "process/hangup.rs"]
mod hangup;
#[path = "process/neighbours.rs"]
mod neighbours;
#[path = "process/standard_error.rs"]
mod standard_error;
#[path = "process/watched.rs"]
mod watched;
