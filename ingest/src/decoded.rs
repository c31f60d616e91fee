//! The result of decoding a raw record.

use tributary_proto::{Event, Spend};
use tributary_runtime::stage::Rejection;

use crate::ignored::Ignored;

/// The result of decoding a raw record.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Events, in the record's order.
    pub events: Vec<Event>,
    /// Costs in the record.
    pub spends: Vec<Spend>,
    /// Events of the record that were refused, with their position in it.
    pub rejections: Vec<Rejection>,
    /// Fields that could not be read, and were left out.
    pub ignored: Ignored,
    /// Identifiers dropped because their value is blocked.
    pub blocked: u64,
    /// External ids dropped because their kind is not declared.
    pub undeclared: u64,
    /// Messages that would be touches but come from bots.
    pub bots: u64,
    /// Messages that are neither touch nor milestone, and name nobody.
    pub without_event: u64,
    /// Whether anybody could have sent the record. Then refused records are no sign of a broken sender of the operator's.
    pub public: bool,
    /// Stages of a CRM without a rule: they change nothing.
    pub stages_without_rule: Vec<StageWithoutRule>,
}

/// A stage of a CRM without a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageWithoutRule {
    /// The setting in which a rule would be, below `ingest.webhook`: `hubspot.deals`.
    pub setting: &'static str,
    /// The vendor's id of the stage.
    pub stage: String,
}

impl Decoded {
    /// Empties it for the next record, keeping its memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.spends.clear();
        self.rejections.clear();
        self.ignored.clear();
        self.stages_without_rule.clear();
        self.public = false;
        (self.blocked, self.undeclared, self.bots, self.without_event) = (0, 0, 0, 0);
    }

    /// Whether anything in the record was used: an event, a cost, or a message that was understood and needs no event.
    pub fn was_used(&self) -> bool {
        !self.events.is_empty()
            || !self.spends.is_empty()
            || !self.stages_without_rule.is_empty()
            || self.bots + self.without_event > 0
    }
}
