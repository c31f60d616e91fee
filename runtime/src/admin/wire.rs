//! Requests and responses of the admin listener. The paths begin with the version of the protocol.

use std::collections::BTreeMap;

use prost::Message;
use serde::{Deserialize, Serialize};

use super::HeldPartition;

/// `GET`: the process, and the partitions it holds.
pub const HOLDINGS: &str = "/v1/holdings";
/// `POST`, followed by a stage: opens a view of the states of the stage.
pub const VIEWS: &str = "/v1/views";
/// Followed by the number of a view: `POST` reads, `DELETE` closes.
pub const VIEW: &str = "/v1/view";

/// A process, and the partitions it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `kafka.group_prefix`.
    pub group_prefix: String,
    /// `kafka.instance`.
    pub instance: String,
    /// The partitions it holds.
    pub partitions: Vec<HeldPartition>,
}

/// A view of the states of one stage in one process: each partition as of one moment, while its worker continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Its number.
    pub view: u64,
    /// The partitions in it.
    pub partitions: Vec<Seen>,
}

/// A partition of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The partition.
    pub partition: u32,
    /// The offsets of the next records to read, by the role of the input topic; topics without a committed offset are absent.
    pub inputs: BTreeMap<String, u64>,
}

/// Several reads at once.
#[derive(Clone, PartialEq, Message)]
pub struct Reads {
    /// They are answered in this order.
    #[prost(message, repeated, tag = "1")]
    pub reads: Vec<Read>,
}

/// A value, or a range of values, of an actor.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct Read {
    /// The partition.
    #[prost(uint32, tag = "1")]
    pub partition: u32,
    /// The actor's key.
    #[prost(bytes = "vec", tag = "2")]
    pub actor: Vec<u8>,
    /// The sub-key, or the first of the range.
    #[prost(bytes = "vec", tag = "3")]
    pub from: Vec<u8>,
    /// The range's end, exclusive; empty: to the end.
    #[prost(bytes = "vec", tag = "4")]
    pub to: Vec<u8>,
    /// Whether only the value under `from` is read.
    #[prost(bool, tag = "5")]
    pub one: bool,
    /// If not 0: reads the keys of this many actors, of the kind given by the tag that `actor` begins with; after `actor`, if that is a
    /// whole key.
    #[prost(uint32, tag = "6")]
    pub actors: u32,
}

/// The answers to several reads.
#[derive(Clone, PartialEq, Message)]
pub struct Pages {
    /// One for each read.
    #[prost(message, repeated, tag = "1")]
    pub pages: Vec<Page>,
}

/// The answer to a read.
#[derive(Clone, PartialEq, Message)]
pub struct Page {
    /// The rows, in byte order.
    #[prost(message, repeated, tag = "1")]
    pub rows: Vec<Row>,
    /// Whether there are more rows: continue after the last one.
    #[prost(bool, tag = "2")]
    pub more: bool,
}

/// A value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Row {
    /// Its sub-key; for an actor, its key.
    #[prost(bytes = "vec", tag = "1")]
    pub sub: Vec<u8>,
    /// The value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}
