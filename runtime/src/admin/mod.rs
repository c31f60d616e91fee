//! The admin listener: here a running process on Kafka answers questions about its state.
//!
//! It is read-only and has no decision logic: it returns raw values of actors from a view (`views`) of the committed state. The caller
//! interprets them. How processes are found: [`crate::kafka::announce`].
//!
//! The values are personal data. So this listener is separate from that of the metrics, is on loopback by default, and requires a token
//! otherwise.

mod client;
mod holdings;
mod remote;
mod server;
mod views;
pub mod wire;

pub use client::{AskError, Client};
pub use holdings::{HeldPartition, Holdings};
pub use remote::{RemoteBase, RemoteView};
pub use server::{ListenError, Listener};
