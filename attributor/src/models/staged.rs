//! `staged` and `custom`: U-lead, W, full path, or any list of anchors.

use std::ops::Range;

use super::{Model, Rationale, percent};
use crate::journey::Journey;

/// A position in the journey that gets a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// The first touch.
    First,
    /// The last touch.
    Last,
    /// For milestones that close a deal: the last touch at or before it.
    Close,
    /// The last touch at or before the time of a stage: the stage's position among the plan's stages, and its kind.
    Stage(usize, String),
}

impl Anchor {
    /// The touch that holds the anchor in `journey`; `None` if the stage was not reached.
    fn touch(&self, journey: &Journey<'_>) -> Option<usize> {
        match self {
            Self::First => Some(journey.begins()),
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

/// Fixed shares for the anchors of stages; the touches between divide the rest equally.
///
/// The share of a missing stage goes to the next stage that is present, else to the last one present. One touch may hold several anchors.
/// The touches between are those before the last anchor that hold none; if there are none, their share is divided among the anchors in
/// proportion. For milestones that follow a won deal, only touches since then count: see [`Journey::begins`].
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
        for Present { touch, share, .. } in self.present(journey) {
            if let Some(slot) = anchored.get_mut(touch) {
                *slot = Some(slot.unwrap_or(0) + share);
            }
            last_anchor = last_anchor.max(Some(touch));
        }
        let until = last_anchor.unwrap_or(0);
        let begins = journey.begins();
        let middle = anchored.iter().take(until).skip(begins).filter(|slot| slot.is_none()).count() as u128;
        let scale = middle.max(1);
        anchored
            .into_iter()
            .enumerate()
            .map(|(at, share)| match share {
                Some(share) => share * scale,
                None if (begins..until).contains(&at) => u128::from(self.middle_nano),
                None => 0,
            })
            .collect()
    }

    fn parameters(&self) -> String {
        let anchors: Vec<String> = self.anchors.iter().map(|(anchor, share)| format!("{}={share}", anchor.name())).collect();
        format!("{},middle={}", anchors.join(","), self.middle_nano)
    }

    fn rationale(&self, journey: &Journey<'_>, at: usize) -> Rationale {
        let present = self.present(journey);
        let until = present.iter().map(|stage| stage.touch).max().unwrap_or(0);
        let begins = journey.begins();
        let middle = (begins..until).filter(|at| present.iter().all(|stage| stage.touch != *at)).count();
        let held: Vec<&Present> = present.iter().filter(|stage| stage.touch == at).collect();
        if held.is_empty() && (begins..until).contains(&at) {
            let share = percent(self.middle_nano.into());
            return Rationale::words(format!("one of {middle} before the last anchor that hold none: {share} in equal parts"));
        }
        let mut words: Vec<String> = held.iter().map(|stage| self.words(stage)).collect();
        if !words.is_empty() && middle == 0 && self.middle_nano > 0 {
            words.push(format!("no touch between: the middle's {} goes to the anchors", percent(self.middle_nano.into())));
        }
        let anchors = held.iter().map(|stage| self.name(stage.own).to_owned()).collect();
        Rationale { anchors, words: words.join("; ") }
    }
}

/// A stage that was reached.
struct Present {
    /// The position of the touch that holds its anchor.
    touch: usize,
    /// Its share, including those of missing stages.
    share: u128,
    /// The position of its anchor.
    own: usize,
    /// The positions of the anchors whose shares it gets.
    of: Range<usize>,
}

impl Staged {
    /// The stages that were reached.
    fn present(&self, journey: &Journey<'_>) -> Vec<Present> {
        let mut present: Vec<Present> = Vec::with_capacity(self.anchors.len());
        let (mut waiting, mut from) = (0, 0);
        for (own, (anchor, share)) in self.anchors.iter().enumerate() {
            waiting += u128::from(*share);
            if let Some(touch) = anchor.touch(journey) {
                present.push(Present { touch, share: waiting, own, of: from..own + 1 });
                (waiting, from) = (0, own + 1);
            }
        }
        if let Some(last) = present.last_mut() {
            last.share += waiting;
            last.of.end = self.anchors.len();
        }
        present
    }

    fn name(&self, anchor: usize) -> &str {
        self.anchors.get(anchor).map_or("", |(anchor, _)| anchor.name())
    }

    /// `opportunity: 45 % (with that of lead, which is missing)`.
    fn words(&self, stage: &Present) -> String {
        let missing: Vec<&str> = stage.of.clone().filter(|of| *of != stage.own).map(|of| self.name(of)).collect();
        let folded =
            if missing.is_empty() { String::new() } else { format!(" (with that of {}, missing)", missing.join(" and ")) };
        format!("{}: {}{folded}", self.name(stage.own), percent(stage.share))
    }
}
