//! `shapley`: the sum game, in which every channel of a journey has the same value. There is nothing to fit.

use super::{Learnt, Names};
use crate::paths::ChannelId;

/// Equal parts for the channels of a journey.
#[derive(Debug)]
pub(crate) struct SumGame;

impl Learnt for SumGame {
    fn knows_all(&self) -> bool {
        true
    }

    fn weights(&self, set: &[ChannelId]) -> Vec<u128> {
        vec![1; set.len()]
    }

    fn why(&self, set: &[ChannelId], _: ChannelId, _: &Names<'_>) -> String {
        format!("one of {} channels, in equal parts", set.len())
    }
}
