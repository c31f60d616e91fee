//! Touches and milestones, and where each belongs.

use tributary_proto::{Milestone, StoredTouch};

use super::people::Home;

/// A touch and the unit of its identifier.
#[derive(Debug, Clone)]
pub struct Brought {
    /// The touch.
    pub touch: StoredTouch,
    /// Its unit.
    pub home: Home,
    /// The browser or device; if unknown, the identifier that brought it.
    pub device: u64,
}

/// A milestone and the unit of its anchor.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The milestone.
    pub milestone: Milestone,
    /// Its unit.
    pub home: Home,
}
