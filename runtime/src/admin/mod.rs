//! The admin listener: where a running process on Kafka is asked about its state.
//!
//! Nothing can be changed here, and nothing is decided: raw values of actors are read from a view (`views`) of the committed state. What
//! they mean is known to whoever asks. How processes are found: [`crate::kafka::announce`].
//!
//! The values hold personal data. The listener is therefore not that of the metrics, is on loopback unless the settings say otherwise, and
//! asks for a token then.

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
