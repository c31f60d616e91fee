//! What an operator sees while something outside goes wrong: second by second, `/readyz`, lag, brokers and the log. Each scene is a file;
//! `scripts/hostile scenes` prints its table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod beside;
mod full_disk;
mod outage;
mod unreachable;
