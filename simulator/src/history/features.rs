//! The features of histories in addition to plain records: each can be left out.

use std::fmt;
use std::str::FromStr;

/// What a history contains beside raw records: events that are written directly to the inbox of identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Public events, honest and hostile.
    pub trust: bool,
    /// People who change companies, and retractions.
    pub time: bool,
    /// Roles of people in deals.
    pub roles: bool,
    /// Hierarchies of accounts.
    pub hierarchy: bool,
    /// The operator's own dimensions.
    pub dimensions: bool,
}

impl Features {
    /// None of them.
    pub const NONE: Self = Self { trust: false, time: false, roles: false, hierarchy: false, dimensions: false };
    /// All of them.
    pub const ALL: Self = Self { trust: true, time: true, roles: true, hierarchy: true, dimensions: true };
    /// The default.
    pub const DEFAULT: Self = Self::ALL;
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.trust, "trust"),
            (self.time, "time"),
            (self.roles, "roles"),
            (self.hierarchy, "hierarchy"),
            (self.dimensions, "dimensions"),
        ];
        let names: Vec<&str> = all.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
        f.write_str(&if names.is_empty() { "none".to_owned() } else { names.join(",") })
    }
}

impl FromStr for Features {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut features = Self::NONE;
        for name in text.split(',') {
            match name {
                "trust" => features.trust = true,
                "time" => features.time = true,
                "roles" => features.roles = true,
                "hierarchy" => features.hierarchy = true,
                "dimensions" => features.dimensions = true,
                "all" => features = Self::ALL,
                "none" => {}
                _ => return Err("expected trust, time, roles, hierarchy, dimensions, all or none".to_owned()),
            }
        }
        Ok(features)
    }
}
