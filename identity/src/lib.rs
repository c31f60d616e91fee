//! Identity resolution: identifiers become profiles, and profiles become accounts.
//!
//! Every identifier is an actor on the partition of its key. Events state *facts*, and facts are sets ([`facts`]). Identifiers that were
//! seen together have a common root, which holds their facts as a component and computes its profiles by a [clustering](cluster) that is a
//! function of the set. So the profiles do not depend on the order, the repetition or the partitioning of the events. Roots find each other
//! by messages (union-find without shared memory). An identifier gets its placement from its root, and forwards its touches and milestones
//! to the units of that placement.
//!
//! ```
//! use tributary_identity::{Settings, cluster::cluster};
//! use tributary_proto::{Identifier, LinkFact, Member, kind::Kinds};
//! use tributary_runtime::config::Section;
//!
//! let cookie = Identifier::new("anonymous_id", "", "cookie-7f3a");
//! let email = Identifier::new("email", "", "zhang@b-corp.example");
//! let mut members: Vec<_> = [&cookie, &email]
//!     .map(|of| (of.hash(), Member { identifier: Some(of.clone()), present: true, ..Member::default() }))
//!     .into();
//! members.sort_by_key(|(hash, _)| *hash);
//! let link = LinkFact { a: Some(cookie), b: Some(email), earliest_ms: Some(1), ..LinkFact::default() };
//!
//! let rules = Settings::default().compiled(&Kinds::default()).expect("the defaults are valid");
//! assert_eq!(cluster(&members, &[link], &rules).profiles, [[0, 1]]);
//! ```

pub mod cluster;
pub mod days;
pub mod facts;
mod free_mail;
pub mod group;
pub mod hierarchy;
pub mod identifier_set;
pub mod keys;
pub mod metrics;
pub mod names;
pub mod people;
pub mod read;
pub mod settings;
pub mod stage;
pub mod stamp;
pub mod timeline;
pub mod view;

mod belonging;
mod claim;
mod component;
mod contacts;
mod core;
mod dispatch;
mod erase;
mod event;
mod milestone;
mod node;
mod nodes;
mod person;
mod placement;
mod recompute;
mod record;
mod remodel;
mod retract;
mod root;
mod settle;
mod statement;
mod units;
mod versions;

pub use settings::{Rules, Settings};
pub use stage::{IdentityStage, LOG};
