//! Requests and responses of the admin listener. The paths begin with the version of the protocol.

use std::collections::BTreeMap;

use prost::Message;
use serde::{Deserialize, Serialize};

use super::HeldPartition;

/// `GET`: who this is, and what it holds.
pub const HOLDINGS: &str = "/v1/holdings";
/// `POST`, with the stage behind it: opens a view of the states of a stage.
pub const VIEWS: &str = "/v1/views";
/// With the number of a view behind it: `POST` reads, `DELETE` closes.
pub const VIEW: &str = "/v1/view";

/// Who a process is, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `kafka.group_prefix`.
    pub group_prefix: String,
    /// `kafka.instance`.
    pub instance: String,
    /// What it holds.
    pub partitions: Vec<HeldPartition>,
}

/// A view of the states of one stage in one process: each partition as it was at one moment, while its worker goes on.
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
    /// The offsets of the next records to read, by the role of the input topic; topics nothing was committed of are absent.
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
    /// Whether only the value under `from` is wanted.
    #[prost(bool, tag = "5")]
    pub one: bool,
    /// Not 0: the keys of so many actors are wanted, those of the kind that `actor` begins with, and behind it if it is a whole key.
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
    /// What was found, in byte order.
    #[prost(message, repeated, tag = "1")]
    pub rows: Vec<Row>,
    /// Whether the answer had no room for all: ask again from behind the last row.
    #[prost(bool, tag = "2")]
    pub more: bool,
}

/// A value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Row {
    /// Its sub-key; of an actor its key.
    #[prost(bytes = "vec", tag = "1")]
    pub sub: Vec<u8>,
    /// The value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}
