//! Ingest: four raw sources become canonical events, normalised and classified, or dead letters with a reason.
//!
//! ```
//! use tributary_ingest::{Decoded, Decoder, Settings};
//! use tributary_proto::{Source, event::Body, kind::Kinds};
//!
//! let decoder = Decoder::new(&Settings::default(), &Kinds::default())?;
//! let hit = br#"{"timestamp": "2022-02-28T10:00:00+08:00", "anonymous_id": "cookie-7f3a",
//!               "url": "https://www.a-corp.example/?utm_source=baidu&utm_medium=cpc"}"#;
//! let mut decoded = Decoded::default();
//! decoder.decode(Source::Utm, hit, None, &mut decoded)?;
//! let Some(Body::Touch(touch)) = &decoded.events[0].body else { panic!("not a touch") };
//! assert_eq!(touch.channel, "paid_search");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Settings`] are compiled once into a [`Decoder`], which is pure: bytes in, events or a rejection out, no clock, no state. The
//! [`IngestStage`] around it reads the raw topics and writes the identity inbox. Raw records are parsed in place; every limit of [`limits`]
//! is checked before anything is parsed.

mod as_native;
mod bots;
pub mod channel;
mod classified;
mod click_ids;
mod company;
mod compile;
mod contacts;
mod content;
mod csv_row;
mod decoded;
mod decoder;
mod dimensions;
mod identifiers;
mod ignored;
mod landing;
mod lenient;
pub mod limits;
pub mod metrics;
mod milestone;
pub mod money;
mod native;
pub mod normalise;
mod origin;
mod public;
mod receipt;
mod repair;
mod rules;
mod scalar;
mod sdk;
pub mod settings;
mod stage;
mod time;
mod tolerant;
mod touch;
mod traits;
mod webhook;

/// Why records are refused.
pub use tributary_runtime::reason;

pub use as_native::as_native;
pub use classified::{Classified, Parameter};
pub use company::normalise as company_name;
pub use csv_row::CsvRows;
pub use decoded::{Decoded, StageWithoutRule};
pub use decoder::Decoder;
pub use ignored::{Ignored, IgnoredField};
pub use receipt::{TRUST_FIELD, Trust};
pub use settings::Settings;
pub use stage::{IngestStage, LOG, decode_record};
pub use time::CLOCK_SKEW_MS_MAX;
pub use webhook::settings as webhook_settings;
pub use webhook::{PROVIDERS, Provider};
