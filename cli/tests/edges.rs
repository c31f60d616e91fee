//! Where a command meets the world at its edges: files that are broken or endless, processes that are killed, backups that are damaged,
//! secrets in wrong places, other users of the machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

#[path = "edges/interrupted.rs"]
mod interrupted;
#[path = "edges/lines.rs"]
mod lines;
#[path = "edges/modes.rs"]
mod modes;
#[path = "edges/restore.rs"]
mod restore;
#[path = "edges/secrets.rs"]
mod secrets;
#[path = "edges/terminal.rs"]
mod terminal;
