//! Touches and milestones, and where each belongs.

use tributary_proto::{Milestone, StoredTouch};

use super::people::Home;

/// A touch and where its identifier belongs.
#[derive(Debug, Clone)]
pub struct Brought {
    /// The touch.
    pub touch: StoredTouch,
    /// Where it belongs.
    pub home: Home,
    /// The browser or device it came from, else the identifier that brought it.
    pub device: u64,
}

/// A milestone and where its anchor belongs.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The milestone.
    pub milestone: Milestone,
    /// Where it belongs.
    pub home: Home,
}
