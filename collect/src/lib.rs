//! The collector: HTTP endpoints that put what senders send on the raw topics, and answer once the log has it.
//!
//! | path | what it takes | topic |
//! |---|---|---|
//! | `POST /v1/{track,identify,page,screen,group,alias,batch,import}` | messages of the Segment specification | `sdk` |
//! | `POST /utm` | landing hits: native touch records | `utm` |
//! | `GET /utm.gif` | the same as the query of a pixel | `utm` |
//! | `POST /webhooks/{name}` | pushes whose signature is right | `webhook` |
//!
//! A request is read within limits (`body`, `budget`), its sender is known (`keys`, [`signature`]) and sends no more than it may (`bucket`,
//! `addresses`), its records are made by pure functions (`segment`, `utm`, `envelope`), and the [`log`] has them before it is answered (`collector`).
//! A sender that got no answer sends again: everything has an id, and what comes twice counts once.

mod addresses;
mod body;
mod bucket;
mod budget;
mod collector;
mod envelope;
mod json;
mod keys;
pub mod log;
pub mod metrics;
mod refusal;
mod segment;
mod server;
pub mod settings;
pub mod signature;
mod utm;

pub use bucket::Rate;
pub use collector::Collector;
pub use refusal::Refusal;
pub use server::{ServeError, Server};
pub use settings::Settings;
