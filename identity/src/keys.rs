//! Where the identity stage keeps what: actor tags and sub-keys. Part of the stored format: do not change.
//!
//! | actor | sub-key | value |
//! |---|---|---|
//! | `i` identifier | `n` | [`IdentifierState`](tributary_proto::IdentifierState) |
//! | as speaker | `v` mention | [`Sighting`](tributary_proto::Sighting) of events that name several identifiers |
//! | | `w` mention | [`Mention`](tributary_proto::Mention): which identifiers those are |
//! | | `q` mention name | [`TraitFact`](tributary_proto::TraitFact) stated in them (mention 0: in events that name nobody else) |
//! | | `x` identifier | [`Erasure`](tributary_proto::Erasure) of one it was named with |
//! | as spoken of | `c` speaker | [`Claim`](tributary_proto::Claim) of another identifier or a milestone |
//! | | `l` other | [`LinkFact`](tributary_proto::LinkFact) between this and the other identifier, by all claims |
//! | | `t` name | [`TraitFact`](tributary_proto::TraitFact), by all claims |
//! | | `u` subscriber | [`Subscribe`](tributary_proto::Subscribe): who is to be told this account's id |
//! | as root | `m` member | [`Member`](tributary_proto::Member) |
//! | | `k` a b, `k` b a | [`LinkFact`](tributary_proto::LinkFact) with an end among the members, to be found from either end |
//! | | `a` account | [`AccountIs`](tributary_proto::AccountIs), latest answer |
//! | | `s` account member | [`Subscribe`](tributary_proto::Subscribe) that was sent |
//! | | `p` id | [`Published`](tributary_proto::Published) profile or account |
//! | `m` milestone | `n` | [`MilestoneState`](tributary_proto::MilestoneState) |
//! | | `v` version | [`Event`](tributary_proto::Event) that reported it |
//! | | `x` identifier | [`Erasure`](tributary_proto::Erasure) of one that a version names |

use tributary_proto::{Hash128, Identifier};
use tributary_runtime::state::ActorKey;

/// Sub-key of an actor's own record.
pub const NODE: &[u8] = b"n";
/// First byte of the sub-keys of sightings, and of a milestone's versions.
pub const SIGHTING: u8 = b'v';
/// First byte of the sub-keys of mentions.
pub const MENTION: u8 = b'w';
/// First byte of the sub-keys of traits by mention.
pub const MENTION_TRAIT: u8 = b'q';
/// First byte of the sub-keys of erasures heard of.
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
/// First byte of the sub-keys of the account answers a component was given.
pub const ACCOUNT: u8 = b'a';
/// First byte of the sub-keys of a component's subscriptions.
pub const SUBSCRIPTION: u8 = b's';
/// First byte of the sub-keys of what a component has published.
pub const PUBLISHED: u8 = b'p';

/// The actor of an identifier.
pub fn identifier(hash: Hash128) -> ActorKey {
    ActorKey::new(b'i', hash)
}

/// The actor of a milestone.
pub fn milestone(milestone_id: &str) -> ActorKey {
    ActorKey::new(b'm', Hash128::of(milestone_id.as_bytes()))
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

/// The sub-key of a trait stated in the events of a mention.
pub fn mention_trait(mention: Hash128, name: &str) -> Vec<u8> {
    let mut key = one(MENTION_TRAIT, mention);
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
