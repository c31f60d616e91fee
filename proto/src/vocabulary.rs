//! The words that settings, records and rows share: kinds of milestones, anchors, and the channels with a meaning of their own. Those of
//! identifiers are in [`kind`](crate::kind), with their ranks.

/// A word, and what people call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The word itself.
    pub name: &'static str,
    /// In English.
    pub english: &'static str,
    /// In Chinese.
    pub chinese: &'static str,
    /// What else it is called: read without case, spaces, `-`, `_` and `&`.
    pub also: &'static [&'static str],
}

impl Term {
    const fn new(name: &'static str, english: &'static str, chinese: &'static str, also: &'static [&'static str]) -> Self {
        Self { name, english, chinese, also }
    }

    /// Whether people call it so.
    pub fn is_called(&self, text: &str) -> bool {
        let text = folded(text);
        [self.name, self.english, self.chinese].iter().chain(self.also).any(|known| folded(known) == text)
    }
}

/// A text without what people write one way and another: case, spaces, `-`, `_` and `&`.
pub fn folded(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_' | '&')).flat_map(char::to_lowercase).collect()
}

/// The kind that opens the funnel; an [`MQL`] stands in for it.
pub const LEAD: &str = "lead";
/// Marketing-qualified lead.
pub const MQL: &str = "mql";
/// The deal is won; ends a life cycle.
pub const CLOSED_WON: &str = "closed_won";
/// The deal is lost.
pub const CLOSED_LOST: &str = "closed_lost";

/// The built-in kinds of milestones, in the order of a B2B cycle.
pub const MILESTONES: [Term; 12] = [
    Term::new(LEAD, "Lead", "线索", &["潜在客户"]),
    Term::new(MQL, "Marketing-qualified lead", "市场认可线索", &["市场合格线索"]),
    Term::new("sal", "Sales-accepted lead", "销售接受线索", &["销售认可线索"]),
    Term::new("meeting", "Meeting", "会议", &["拜访"]),
    Term::new("evaluation", "Evaluation", "评估", &["方案评估"]),
    Term::new("opportunity", "Opportunity", "商机", &["销售机会"]),
    Term::new("proposal", "Proposal", "报价", &["方案报价"]),
    Term::new("negotiation", "Negotiation", "谈判", &["商务谈判"]),
    Term::new(CLOSED_WON, "Closed won", "赢单", &["成交"]),
    Term::new(CLOSED_LOST, "Closed lost", "输单", &["丢单"]),
    Term::new("implemented", "Implemented", "已交付", &["已实施"]),
    Term::new("expansion", "Expansion", "增购", &["扩展销售"]),
];

/// Places of a journey that a model may name beside kinds of milestones: its first touch, its last, and the milestone that closes it.
pub const ANCHORS: [&str; 3] = ["first", "last", "close"];

/// The channel of a visit that nothing brought.
pub const DIRECT: &str = "direct";

/// `touch_id` and `channel` of the one row of a milestone whose journey is empty.
pub const UNATTRIBUTED: &str = "unattributed";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_term_is_called_by_any_of_its_names() {
        let [lead, mql, ..] = MILESTONES;
        for name in ["MQL", "marketing qualified lead", "市场认可线索", " mql "] {
            assert!(mql.is_called(name) && !lead.is_called(name), "{name}");
        }
    }

    #[test]
    fn no_name_means_two_kinds() {
        let all = MILESTONES.iter().flat_map(|term| {
            let names = [term.name, term.english, term.chinese].into_iter().chain(term.also.iter().copied());
            names.map(folded).collect::<BTreeSet<_>>()
        });
        let all: Vec<String> = all.collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
