//! The result of decoding a raw record.

use tributary_proto::{Event, Spend};
use tributary_runtime::stage::Rejection;

use crate::ignored::Ignored;

/// What came out of a raw record.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Events, in the record's order.
    pub events: Vec<Event>,
    /// What the record says was spent.
    pub spends: Vec<Spend>,
    /// Events of the record that are refused, with their place in it.
    pub rejections: Vec<Rejection>,
    /// Fields that could not be read, and were left out of what is used.
    pub ignored: Ignored,
    /// Identifiers dropped because their value is blocked.
    pub blocked: u64,
    /// External ids dropped because nobody declared their kind.
    pub undeclared: u64,
    /// Messages of bots that would have been touches.
    pub bots: u64,
    /// Messages that are neither touch nor milestone and name nobody.
    pub without_event: u64,
    /// Whether anybody could have sent the record: what is refused of it is no sign that something of ours broke.
    pub public: bool,
    /// Stages of a CRM that no rule names: they change nothing.
    pub stages_without_rule: Vec<StageWithoutRule>,
}

/// A stage of a CRM that no rule names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageWithoutRule {
    /// The setting that would name it, below `ingest.webhook`: `hubspot.deals`.
    pub setting: &'static str,
    /// The vendor's id of the stage.
    pub stage: String,
}

impl Decoded {
    /// Makes it ready for the next record, keeping its memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.spends.clear();
        self.rejections.clear();
        self.ignored.clear();
        self.stages_without_rule.clear();
        self.public = false;
        (self.blocked, self.undeclared, self.bots, self.without_event) = (0, 0, 0, 0);
    }

    /// Whether something of the record was used: an event, a cost, or a message that was understood and needs no event.
    pub fn was_used(&self) -> bool {
        !self.events.is_empty()
            || !self.spends.is_empty()
            || !self.stages_without_rule.is_empty()
            || self.bots + self.without_event > 0
    }
}
