//! The contract: the messages that travel between Tributary's stages and to its readers, and the rules for their keys.
//!
//! The types are generated from the `.proto` files of this crate, which are BI's data dictionary: every field is documented there.
//! What a schema cannot say stands here: the canonical bytes and the hash of an identifier ([`identifier`]), the rank of
//! identifier kinds ([`kind`]), the words that all share ([`vocabulary`]), the partition of a key ([`partition`]), the spans of a
//! [`placement`], the JSON form of the outputs ([`json`]), and what fields their rows have ([`dictionary`]).
//!
//! ```
//! use tributary_proto::{Identifier, partition};
//!
//! let cookie = Identifier::new("anonymous_id", "", "cookie-7f3a");
//! assert_eq!(cookie.key(), b"anonymous_id\x1f\x1fcookie-7f3a");
//! assert_eq!(cookie.hash().to_string(), "9ce777b87b508996b703dd2922724c92");
//! assert!(partition::of(&cookie.key(), 4) < 4);
//! ```

pub mod decimal;
pub mod dictionary;
pub mod encode;
pub mod identifier;
pub mod json;
pub mod kind;
pub mod occurrence;
pub mod partition;
pub mod placement;
pub mod vocabulary;

#[allow(missing_docs, clippy::all, clippy::indexing_slicing, clippy::panic)]
mod generated {
    use crate::identifier::Identifier;

    include!(concat!(env!("OUT_DIR"), "/tributary.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/names.rs"));
}

pub use generated::*;
pub use identifier::{Hash128, Identifier, ParseKeyError};
pub use json::Named;
pub use prost::{DecodeError, Message};
pub use vocabulary::UNATTRIBUTED;

/// The text of `output.proto`.
pub const OUTPUT_PROTO: &str = include_str!("../tributary/v1/output.proto");

/// Version of the internal messages, state and changelog; written to the headers of internal records.
pub const FORMAT_VERSION: u32 = 1;

/// Weights are in billionths: this many are the whole.
pub const WHOLE_NANO: u64 = 1_000_000_000;
