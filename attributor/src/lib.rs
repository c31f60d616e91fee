//! Touches and milestones in, credit updates out: the attributor stage.
//!
//! ```
//! use std::sync::Arc;
//! use tributary_attributor::{plan::Plan, settings::Settings, stage::AttributorStage};
//! use tributary_proto::kind::Kinds;
//! use tributary_runtime::stage::PartitionSlice;
//!
//! let plan = Arc::new(Plan::compile(&Settings::default(), &Kinds::default())?);
//! let stage = AttributorStage::new(plan, PartitionSlice { partition: 0, partitions: 4 });
//! # drop(stage);
//! # Ok::<(), tributary_runtime::config::Problems>(())
//! ```
//!
//! Two kinds of actor share the attributor's inbox:
//!
//! - a [unit](mod@unit) (an account, or a person while no account is known) holds touches and tracked milestones, each under the identifier
//!   that brought it, and computes the rows a milestone should have;
//! - a [`ledger`] (one a milestone) keeps the rows last emitted and emits the difference.
//!
//! Everything between the two is pure arithmetic: the [`journey`] to a milestone, the [`models`] that compute weights, and
//! [`apportion`], which turns weights and values into integers. No part uses a clock, a log or a thread: the rows are a function of
//! the touches, the milestones, the placements and the [`settings`].

pub mod apportion;
pub mod classifier;
pub mod credit;
pub mod funnel;
pub mod journey;
pub mod ledger;
pub mod metrics;
pub mod models;
pub mod plan;
mod put_off;
pub mod rates;
pub mod read;
mod remodel;
pub mod settings;
pub mod stage;
pub mod unit;
mod value;
pub mod view;

pub use stage::LOG;
