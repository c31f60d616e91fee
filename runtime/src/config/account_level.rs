//! The level of accounts that is the unit of attribution: identity uses it for placements, attribution has the setting.

use serde::{Deserialize, Serialize};

/// Whose touches and milestones form one journey, if accounts have a hierarchy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountLevel {
    /// Those of each account separately.
    #[default]
    Account,
    /// Those of all accounts under one root.
    Root,
}
