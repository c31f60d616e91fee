//! An adversary at the collector's door: whatever strangers do, honest senders are answered, and nothing is held for ever.
//!
//! Limits of time are short here. A test waits until the server has done something; that it does so early enough is nowhere asserted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

#[path = "../support/mod.rs"]
mod support;

mod heads;
mod memory;
mod places;
mod rates;
mod replays;
mod slow;
mod stranger;
