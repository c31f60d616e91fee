//! `staged` and `custom`: U-lead, W, full path, or any list of anchors.

use tributary_runtime::planted::planted;

use super::Model;
use crate::journey::Journey;

/// Where an anchor stands in the journey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// The first touch.
    First,
    /// The last touch.
    Last,
    /// The last touch at or before a closing milestone, for that milestone itself.
    Close,
    /// The last touch at or before the moment of the stage with this kind and this position among the plan's stages.
    Stage(usize, String),
}

impl Anchor {
    /// The touch that holds the anchor in `journey`; `None` where the stage is missing.
    fn touch(&self, journey: &Journey<'_>) -> Option<usize> {
        match self {
            Self::First => Some(0),
            Self::Last => journey.touches.len().checked_sub(1),
            Self::Close => journey.close_anchor(),
            Self::Stage(stage, _) => journey.stage_anchor(*stage),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::First => "first",
            Self::Last => "last",
            Self::Close => "close",
            Self::Stage(_, kind) => kind,
        }
    }
}

/// Fixed shares to the touches that brought about the stages; the touches between divide the rest equally.
///
/// The share of a missing stage folds into the next stage present, else into the last one present. One touch may hold several
/// anchors. The middle is the touches before the last anchor touch that hold none; without any, its share is spread over the anchors
/// in proportion.
#[derive(Debug, Clone)]
pub struct Staged {
    /// The anchors in the order of the stages, with their shares in billionths.
    pub anchors: Vec<(Anchor, u64)>,
    /// Share of the touches between, in billionths.
    pub middle_nano: u64,
}

impl Model for Staged {
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
        let mut anchored = vec![None; journey.touches.len()];
        let mut last_anchor = None;
        for (at, share) in self.folded(journey) {
            if let Some(slot) = anchored.get_mut(at) {
                *slot = Some(slot.unwrap_or(0) + share);
            }
            last_anchor = last_anchor.max(Some(at));
        }
        let until = last_anchor.unwrap_or(0);
        let middle = anchored.iter().take(until).filter(|slot| slot.is_none()).count() as u128;
        let scale = middle.max(1);
        anchored
            .into_iter()
            .enumerate()
            .map(|(at, share)| match share {
                Some(share) => share * scale,
                None if at < until => u128::from(self.middle_nano),
                None => 0,
            })
            .collect()
    }

    fn parameters(&self) -> String {
        let anchors: Vec<String> = self.anchors.iter().map(|(anchor, share)| format!("{}={share}", anchor.name())).collect();
        format!("{},middle={}", anchors.join(","), self.middle_nano)
    }
}

impl Staged {
    /// The stages present, as (touch, share with what was folded into it).
    fn folded(&self, journey: &Journey<'_>) -> Vec<(usize, u128)> {
        let mut present: Vec<(usize, u128)> = Vec::with_capacity(self.anchors.len());
        let mut waiting = 0;
        for (anchor, share) in &self.anchors {
            waiting += u128::from(*share);
            if let Some(at) = anchor.touch(journey) {
                present.push((at, waiting));
                waiting = 0;
            }
        }
        if let Some((_, share)) = present.last_mut() {
            *share += if planted("share_of_missing_stage_lost") { 0 } else { waiting };
        }
        present
    }
}
