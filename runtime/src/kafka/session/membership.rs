//! Our assignment: whether the group has sent it, and whether an empty one is final.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;

use super::KafkaSession;
use crate::obstacle::Obstacle;

/// How long a rebalance may leave a worker without partitions before that is reported. Usually it takes less than a second.
const REBALANCE: Duration = Duration::from_secs(5);
/// How often the group's number of members is requested, and the timeout of the request.
const ASK_EVERY: Duration = Duration::from_secs(10);
const ASK: Duration = Duration::from_secs(1);

/// The worker's membership in the group.
#[derive(Debug, Default)]
pub(in crate::kafka) struct Membership {
    /// Whether this worker is a member, as far as it knows.
    joined: bool,
    /// When a rebalance revoked partitions, if none was assigned since.
    taken: Option<Instant>,
    /// Whether there are no partitions left because the group has more members than partitions.
    spare: bool,
    asked: Option<Instant>,
}

impl Membership {
    /// The group has assigned partitions, possibly none.
    pub fn given(&mut self) {
        *self = Self { joined: true, ..Self::default() };
    }

    /// Partitions were revoked: by a rebalance, which assigns others, or because the group has `lost` this member.
    pub fn taken(&mut self, lost: bool) {
        *self = Self { joined: self.joined && !lost, taken: Some(Instant::now()), ..Self::default() };
    }

    fn obstacle(&self, nothing: bool) -> Option<Obstacle> {
        match self.taken {
            _ if !self.joined => Some(Obstacle::Joining),
            _ if !nothing => None,
            Some(at) => (at.elapsed() > REBALANCE).then_some(Obstacle::Joining),
            None => (!self.spare).then_some(Obstacle::NoPartitions),
        }
    }
}

impl KafkaSession {
    pub(in crate::kafka) fn share_obstacle(&self) -> Option<Obstacle> {
        self.membership.obstacle(self.has_nothing())
    }

    /// If this worker has no partitions: asks the group from time to time whether that is right.
    pub(in crate::kafka) fn watch_share(&mut self) {
        let membership = &self.membership;
        let due = membership.asked.is_none_or(|asked| asked.elapsed() > ASK_EVERY);
        if due && membership.joined && membership.taken.is_none() && self.has_nothing() {
            self.membership.spare = self.members().is_some_and(|members| members > self.places_to_give());
            self.membership.asked = Some(Instant::now());
        }
    }

    fn has_nothing(&self) -> bool {
        self.owned.partitions().next().is_none()
    }

    /// The number of members of the group; `None` if it does not answer.
    fn members(&self) -> Option<usize> {
        let group = self.options.group(self.log.stage);
        let found = self.consumer.as_ref()?.fetch_group_list(Some(&group), ASK).ok()?;
        Some(found.groups().iter().map(|group| group.members().len()).sum())
    }

    /// The number of members that the group can give a partition to.
    fn places_to_give(&self) -> usize {
        let counts = self.inputs.iter().filter_map(|(topic, _)| self.counts.get(topic));
        counts.max().map_or(0, |count| *count as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_spare_member_may_have_no_partitions() {
        let mut membership = Membership::default();
        assert_eq!(membership.obstacle(true), Some(Obstacle::Joining));
        membership.given();
        assert_eq!(membership.obstacle(false), None);
        assert_eq!(membership.obstacle(true), Some(Obstacle::NoPartitions));
        membership.spare = true;
        assert_eq!(membership.obstacle(true), None);
        membership.taken(false);
        assert_eq!(membership.obstacle(true), None, "a rebalance goes on");
        membership.taken = Instant::now().checked_sub(2 * REBALANCE);
        assert_eq!(membership.obstacle(true), Some(Obstacle::Joining), "a rebalance does not end");
        membership.given();
        assert_eq!(membership.obstacle(false), None);
        membership.taken(true);
        assert_eq!(membership.obstacle(true), Some(Obstacle::Joining), "the group has lost us");
    }
}
