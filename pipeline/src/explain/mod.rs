//! Explanations: what `explain` and `profile` answer, over the state of a running service, or of a replay.
//!
//! An answer is a function of a [`Snapshot`](tributary_runtime::state::Snapshot) and the settings: the same over every kind of snapshot.
//! Nothing is decided here: this module calls the stages' own functions ([`tributary_identity::read`], [`tributary_attributor::read`]) and
//! combines their results.
//!
//! Answers hold personal data. They go to the caller and nowhere else: the errors of this module name kinds of identifiers, never values.

mod answer;
mod asked;
mod freshness;
mod history;
mod milestone;
mod person;
mod profile;
mod words;

use tributary_runtime::state::StateError;

pub use answer::{
    AccountWhy, Anchor, Brought, Consent, Credit, Explanation, Former, Identified, LinkUsed, MembershipWhy, MilestoneAnswer,
    Owner, Profile, RefusedLink, StageReached, TouchRow, TraitAnswer, Version, Via,
};
pub use asked::parse_identifier;
pub use freshness::{Freshness, StageFreshness};
pub use milestone::explain;
pub use profile::profile;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The question is not in a known form.
    #[error("{0}")]
    Usage(String),
    /// Nothing is stored about what was asked.
    #[error("{0}")]
    Unknown(String),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}
