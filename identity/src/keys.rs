//! Layout of the state of the identity stage: actor tags and sub-keys. Part of the stored format: do not change.
//!
//! | actor | sub-key | value |
//! |---|---|---|
//! | `i` identifier | `n` | [`IdentifierState`](tributary_proto::IdentifierState) |
//! | as speaker | `v` identifier set | [`Observation`](tributary_proto::Observation) of events that name several identifiers |
//! | | `w` identifier set | [`IdentifierSet`](tributary_proto::IdentifierSet): which identifiers those are |
//! | | `d` what set day | [`Day`](tributary_proto::Day) on which the events of an identifier set (0, 1: those that name nobody else) stated it
//! | | `q` set name | [`TraitFact`](tributary_proto::TraitFact) stated in them (identifier sets 0 and 1 as above) |
//! | | `x` identifier | [`Erasure`](tributary_proto::Erasure) of one it was named with |
//! | as spoken of | `c` speaker | [`Claim`](tributary_proto::Claim) of another identifier or a milestone |
//! | | `l` other | [`LinkFact`](tributary_proto::LinkFact) between this and the other identifier, by all claims |
//! | | `t` name | [`TraitFact`](tributary_proto::TraitFact), by all claims |
//! | | `u` subscriber | [`Subscribe`](tributary_proto::Subscribe): who is to be told this account's id |
//! | | `o` object event | [`ContactFact`](tributary_proto::ContactFact): what an event says of its role in an object |
//! | as root | `m` member | [`Member`](tributary_proto::Member) |
//! | | `k` a b, `k` b a | [`LinkFact`](tributary_proto::LinkFact) with an end among the members, to be found from either end |
//! | | `a` account | [`AccountIs`](tributary_proto::AccountIs), latest answer |
//! | | `s` account member | [`Subscribe`](tributary_proto::Subscribe) that was sent |
//! | | `e` member account day | [`DayAssertion`](tributary_proto::DayAssertion) of a member |
//! | | `h` member person | [`Belongs`](tributary_proto::Belongs): a person, by the hash of who the profile is called after, in an account
//! | | `p` id | [`Published`](tributary_proto::Published) profile or account |
//! | | `b` | the byte 1, while it is throttled |
//! | | `y` member | the byte 1: its cluster is deferred until the throttle ends |
//! | | `i` id | a profile or account id that must be checked then |
//! | `m` milestone | `n` | [`MilestoneState`](tributary_proto::MilestoneState) |
//! | | `v` version | [`Event`](tributary_proto::Event) that reported it |
//! | | `x` identifier | [`Erasure`](tributary_proto::Erasure) of one that a version names |
//! | | `z` event | the byte 1: the event was taken back |
//! | `p` the partition | `h` | [`RemodelState`](tributary_proto::RemodelState): by which rules all of this was computed |
//! | `o` object | `v` event, `x` identifier, `z` event | as of a milestone: the events that name its contacts |
//! | `r` record of a CRM | `n` | [`RecordState`](tributary_proto::RecordState), once it was deleted |
//! | | `v` said | [`Said`](tributary_proto::Said): an event that reports it |

use tributary_proto::{Hash128, Identifier};
use tributary_runtime::remodel::Walk;
use tributary_runtime::state::ActorKey;

/// Sub-key of an actor's own record.
pub const NODE: &[u8] = b"n";
/// First byte of the sub-keys of observations, of a milestone's versions, and of what a CRM record has stated.
pub const OBSERVATION: u8 = b'v';
/// First byte of the sub-keys of identifier sets.
pub const IDENTIFIER_SET: u8 = b'w';
/// First byte of the sub-keys of traits by identifier set.
pub const MENTION_TRAIT: u8 = b'q';
/// First byte of the sub-keys of erasures of other identifiers.
pub const ERASURE: u8 = b'x';
/// First byte of the sub-keys of claims.
pub const CLAIM: u8 = b'c';
/// First byte of the sub-keys of an identifier's links.
pub const LINK: u8 = b'l';
/// First byte of the sub-keys of traits.
pub const TRAIT: u8 = b't';
/// First byte of the sub-keys of subscribers.
pub const SUBSCRIBER: u8 = b'u';
/// First byte of the sub-keys of a component's members.
pub const MEMBER: u8 = b'm';
/// First byte of the sub-keys of a component's links.
pub const COMPONENT_LINK: u8 = b'k';
/// First byte of the sub-keys of the answers of accounts to a component.
pub const ACCOUNT: u8 = b'a';
/// First byte of the sub-keys of a component's subscriptions.
pub const SUBSCRIPTION: u8 = b's';
/// First byte of the sub-keys of what a component has published.
pub const PUBLISHED: u8 = b'p';

/// First byte of the sub-keys of what was stated on a day.
pub const DAY: u8 = b'd';
/// First byte of the sub-keys of an identifier's roles in objects.
pub const CONTACT: u8 = b'o';
/// First byte of the sub-keys of what members assert on a day.
pub const ASSERTION: u8 = b'e';
/// First byte of the sub-keys of people who belong to an account.
pub const PERSON: u8 = b'h';
/// The sub-key that exists while a root is throttled.
pub const THROTTLED: &[u8] = b"b";
/// First byte of the sub-keys of members whose clusters are computed once the root resumes.
pub const DUE: u8 = b'y';
/// First byte of the sub-keys of ids that are checked then.
pub const DUE_ID: u8 = b'i';
/// First byte of the sub-keys of retracted events.
pub const RETRACTED: u8 = b'z';

/// Tag of identifiers among the stage's actors.
pub const IDENTIFIER_TAG: u8 = b'i';
/// Tag of milestones.
pub const MILESTONE_TAG: u8 = b'm';

/// The walk over all identifiers and milestones after changed settings, and where its progress is stored.
pub(crate) const WALK: Walk = Walk { tag: b'p', sub: [b'h'], over: &[IDENTIFIER_TAG, MILESTONE_TAG] };

/// The actor of an identifier.
pub fn identifier(hash: Hash128) -> ActorKey {
    ActorKey::new(IDENTIFIER_TAG, hash)
}

/// The actor of a milestone.
pub fn milestone(milestone_id: &str) -> ActorKey {
    ActorKey::new(MILESTONE_TAG, Hash128::of(milestone_id.as_bytes()))
}

/// The actor of an object.
pub fn object(key: &str) -> ActorKey {
    ActorKey::new(b'o', Hash128::of(key.as_bytes()))
}

/// The actor of a record of a CRM.
pub fn record(key: &str) -> ActorKey {
    ActorKey::new(b'r', Hash128::of(key.as_bytes()))
}

/// A sub-key that ends in one hash.
pub fn one(tag: u8, hash: Hash128) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(tag);
    key.extend_from_slice(&hash.to_bytes());
    key
}

/// A sub-key that ends in two hashes.
pub fn two(tag: u8, first: Hash128, second: Hash128) -> Vec<u8> {
    let mut key = Vec::with_capacity(33);
    key.push(tag);
    key.extend_from_slice(&first.to_bytes());
    key.extend_from_slice(&second.to_bytes());
    key
}

/// The start of the sub-keys of what events of an identifier set stated; a day follows.
pub fn days(what: u8, identifier_set: Hash128) -> Vec<u8> {
    let mut key = Vec::with_capacity(26);
    key.extend_from_slice(&[DAY, what]);
    key.extend_from_slice(&identifier_set.to_bytes());
    key
}

/// Appends a day to a sub-key, so that byte order is the order of days.
pub fn push_day(key: &mut Vec<u8>, day: i64) {
    key.extend_from_slice(&(day.cast_unsigned() ^ (1 << 63)).to_be_bytes());
}

/// The sub-key of a trait stated in the events of an identifier set.
pub fn mention_trait(identifier_set: Hash128, name: &str) -> Vec<u8> {
    let mut key = one(MENTION_TRAIT, identifier_set);
    key.extend_from_slice(name.as_bytes());
    key
}

/// The sub-key of a trait.
pub fn trait_named(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + name.len());
    key.push(TRAIT);
    key.extend_from_slice(name.as_bytes());
    key
}

/// The two ends of a link with their hashes, the smaller hash first.
pub fn ordered<'a>(a: &'a Identifier, b: &'a Identifier) -> ((&'a Identifier, Hash128), (&'a Identifier, Hash128)) {
    let (a, b) = ((a, a.hash()), (b, b.hash()));
    if a.1 <= b.1 { (a, b) } else { (b, a) }
}
