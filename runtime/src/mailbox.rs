//! Messages between the actors of a stage, and chunking of long ones.
//!
//! An actor lives in the partition of its key. A message to an actor in the same partition does not go through the log: it waits in the
//! [`Mailbox`] and is delivered in the same batch. In both cases messages from one partition to another arrive in the order in which they
//! were sent.

use std::collections::VecDeque;

use prost::Message;
use prost::encoding::encoded_len_varint;
use tributary_proto::{AttributorMessage, IdentityMessage, attributor_message, identity_message};

use crate::stage::{Outbox, PartitionSlice};
use crate::topic::Topic;

/// The most bytes of a message between actors, unless a plan has a lower limit: what is larger travels in [`Parts`]. Well below Kafka's default
/// limit of 1 MiB.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// A message from one actor to another.
///
/// ```
/// use tributary_proto::{Join, identity_message::Body};
/// use tributary_runtime::mailbox::Mailbox;
/// use tributary_runtime::stage::{Outbox, PartitionSlice};
///
/// let (mut outbox, mut mailbox) = (Outbox::default(), Mailbox::new(PartitionSlice { partition: 0, partitions: 1 }));
/// mailbox.send(&mut outbox, b"an actor".to_vec(), |key| key, Body::Join(Join::default()));
/// // The actor lives in this partition: nothing goes through the log.
/// assert!(outbox.outputs.is_empty());
/// assert_eq!(mailbox.take().map(|(to, _)| to), Some(b"an actor".to_vec()));
/// ```
pub trait Mail: Sized {
    /// Where it is read.
    const INBOX: Topic;

    /// As the inbox has it.
    type Sealed: Message;

    /// Wraps it in the message of the inbox.
    fn seal(self) -> Self::Sealed;

    /// Writes it to the inbox, to the actor with this key.
    fn post(self, outbox: &mut Outbox, key: Vec<u8>) {
        outbox.send(Self::INBOX, key, &self.seal());
    }
}

impl Mail for identity_message::Body {
    const INBOX: Topic = Topic::IdentityInbox;
    type Sealed = IdentityMessage;

    fn seal(self) -> IdentityMessage {
        IdentityMessage { body: Some(self) }
    }
}

impl Mail for attributor_message::Body {
    const INBOX: Topic = Topic::AttributorInbox;
    type Sealed = AttributorMessage;

    fn seal(self) -> AttributorMessage {
        AttributorMessage { body: Some(self) }
    }
}

/// The mail of a partition's actors to one another, by whatever names them among themselves.
#[derive(Debug)]
pub struct Mailbox<To, M> {
    slice: PartitionSlice,
    waiting: VecDeque<(To, M)>,
}

impl<To, M: Mail> Mailbox<To, M> {
    /// The empty mailbox of a partition.
    pub fn new(slice: PartitionSlice) -> Self {
        Self { slice, waiting: VecDeque::new() }
    }

    /// The partition.
    pub fn slice(&self) -> PartitionSlice {
        self.slice
    }

    /// Sends `mail` to the actor with this key; `name` is what names it within the partition.
    pub fn send(&mut self, outbox: &mut Outbox, key: Vec<u8>, name: impl FnOnce(Vec<u8>) -> To, mail: M) {
        if self.slice.owns(&key) {
            self.waiting.push_back((name(key), mail));
        } else {
            mail.post(outbox, key);
        }
    }

    /// Takes the oldest mail.
    pub fn take(&mut self) -> Option<(To, M)> {
        self.waiting.pop_front()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}

/// A long message in parts of limited size, which say the same beside their fields.
#[derive(Debug)]
pub struct Parts<M> {
    empty: M,
    full: Vec<M>,
    open: M,
    open_bytes: usize,
    bytes_max: usize,
}

/// Room for what numbers a part, and for the envelope: tags and lengths.
const SLACK_BYTES: usize = 64;

impl<M: Message + Clone> Parts<M> {
    /// Parts of no more than `bytes_max` bytes, unless a single field is longer. `empty` is one without fields.
    pub fn new(empty: M, bytes_max: usize) -> Self {
        Self { open: empty.clone(), empty, full: Vec::new(), open_bytes: 0, bytes_max }
    }

    /// The part that has room for a field of so many bytes.
    pub fn room(&mut self, bytes: usize) -> &mut M {
        let bytes = bytes + encoded_len_varint(bytes as u64) + 1;
        let around = self.empty.encoded_len() + SLACK_BYTES;
        if self.open_bytes > 0 && around + self.open_bytes + bytes > self.bytes_max {
            self.full.push(std::mem::replace(&mut self.open, self.empty.clone()));
            self.open_bytes = 0;
        }
        self.open_bytes += bytes;
        &mut self.open
    }

    /// Whether no field was added.
    pub fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open_bytes == 0
    }

    /// The parts, at least one. `number` tells each its number, and whether more follow.
    pub fn finish(mut self, number: impl Fn(&mut M, u32, bool)) -> Vec<M> {
        self.full.push(self.open);
        let last = self.full.len() - 1;
        for (at, part) in self.full.iter_mut().enumerate() {
            number(part, u32::try_from(at).unwrap_or(u32::MAX), at < last);
        }
        self.full
    }
}

#[cfg(test)]
mod tests {
    use tributary_proto::{Absorb, Identifier, Member};

    use super::*;

    fn absorb(count: usize, bytes_max: usize) -> Vec<Absorb> {
        let member = Member { identifier: Some(Identifier::new("email", "", "someone@example.com")), ..Member::default() };
        let mut parts = Parts::new(Absorb { epoch: 7, ..Absorb::default() }, bytes_max);
        assert!(parts.is_empty());
        for _ in 0..count {
            parts.room(member.encoded_len()).members.push(member.clone());
        }
        parts.finish(|part, at, more| (part.part, part.more) = (at, more))
    }

    #[test]
    fn parts_hold_everything_and_none_is_too_long() {
        for bytes_max in [200, 333, 1_000] {
            let parts = absorb(100, bytes_max);
            assert_eq!(parts.iter().map(|part| part.members.len()).sum::<usize>(), 100);
            assert!(parts.iter().all(|part| part.encoded_len() <= bytes_max && !part.members.is_empty() && part.epoch == 7));
            assert!(parts.iter().enumerate().all(|(at, part)| part.part == at as u32 && part.more == (at + 1 < parts.len())));
        }
        assert_eq!(absorb(3, 1).len(), 3, "a field that is too long has a part of its own");
        assert_eq!(absorb(0, 1_000).len(), 1, "there is one part at least");
    }

    #[test]
    fn mail_to_others_goes_to_their_inbox_and_mail_within_a_partition_waits() {
        let mut outbox = Outbox::default();
        let mut mailbox = Mailbox::new(PartitionSlice { partition: 0, partitions: 2 });
        for key in 0..20_u8 {
            mailbox.send(&mut outbox, vec![key], |key| key, identity_message::Body::Join(tributary_proto::Join::default()));
        }
        let outputs: Vec<_> = outbox.take_outputs().collect();
        assert!(outputs.iter().all(|(output, _)| output.topic == Topic::IdentityInbox && !mailbox.slice().owns(&output.key)));
        let mut local = Vec::new();
        while let Some((key, _)) = mailbox.take() {
            local.push(key);
        }
        assert!(local.is_sorted() && local.iter().all(|key| mailbox.slice().owns(key)));
        assert_eq!(outputs.len() + local.len(), 20);
        assert!(!outputs.is_empty() && !local.is_empty());
    }
}
