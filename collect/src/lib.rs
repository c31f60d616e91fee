//! The collector: HTTP endpoints that write what they receive to the raw topics, and answer once the log has it.
//!
//! | path | what it takes | topic |
//! |---|---|---|
//! | `POST /v1/{track,identify,page,screen,group,alias,batch,import}` | messages of the Segment specification | `sdk` |
//! | `POST /utm` | landing hits: native touch records | `utm` |
//! | `GET /utm.gif` | the same as the query of a pixel | `utm` |
//! | `POST /webhooks/{name}` | pushes whose signature is right | `webhook` |
//!
//! A request is read within limits (`body`, `budget`). Its sender is authenticated (`keys`, [`signature`]) and rate-limited (`rate_limit`,
//! `addresses`). Pure functions make its records (`segment`, `utm`, `envelope`), and the [`log`] has them before the answer (`collector`).
//! A sender that got no answer sends again: everything has an id, and duplicates count once.
//!
//! ```
//! use tributary_collect::Settings;
//! use tributary_proto::kind::Kinds;
//! use tributary_runtime::config::Section;
//!
//! // Without a write key or a webhook no sender is accepted.
//! let settings = Settings::default();
//! assert!(settings.write_keys.is_empty() && settings.webhooks.is_empty());
//! assert!(settings.compiled(&Kinds::default()).is_ok());
//! ```

#[cfg(feature = "native")]
mod addresses;
#[cfg(feature = "native")]
mod body;
#[cfg(feature = "native")]
mod budget;
#[cfg(feature = "native")]
mod collector;
#[cfg(feature = "native")]
mod envelope;
#[cfg(feature = "native")]
mod json;
#[cfg(feature = "native")]
mod keys;
#[cfg(feature = "native")]
pub mod log;
pub mod metrics;
#[cfg(feature = "native")]
mod rate_limit;
#[cfg(feature = "native")]
mod refusal;
#[cfg(feature = "native")]
mod segment;
#[cfg(feature = "native")]
mod server;
pub mod settings;
pub mod signature;
#[cfg(feature = "native")]
mod utm;
mod write_key;

#[cfg(feature = "native")]
pub use collector::Collector;
#[cfg(feature = "native")]
pub use rate_limit::Rate;
#[cfg(feature = "native")]
pub use refusal::Refusal;
#[cfg(feature = "native")]
pub use server::{ServeError, Server};
pub use settings::Settings;
