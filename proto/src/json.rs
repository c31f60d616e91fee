//! The JSON form of the outputs: the proto3 JSON mapping with snake_case names, all fields present, and integers as numbers
//! where they fit (up to 2^53, else as text, as the mapping has it: <https://protobuf.dev/programming-guides/json/>).

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::{Account, CreditUpdate, DeadLetter, Identifier, Profile, Reason, Spend, Trait};

/// The largest integer that every JSON reader holds exactly (RFC 8259, section 6).
const EXACT_MAX: u64 = (1 << 53) - 1;

struct Whole(i64);
struct Natural(u64);
struct Base64<'a>(&'a [u8]);

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if self.0.unsigned_abs() <= EXACT_MAX { out.serialize_i64(self.0) } else { out.collect_str(&self.0) }
    }
}

impl Serialize for Natural {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if self.0 <= EXACT_MAX { out.serialize_u64(self.0) } else { out.collect_str(&self.0) }
    }
}

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&base64::display::Base64Display::new(self.0, &base64::prelude::BASE64_STANDARD))
    }
}

impl Reason {
    /// The name in JSON and in metric labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Milestone => "milestone",
            Self::LateTouch => "late_touch",
            Self::Identity => "identity",
            Self::Amended => "amended",
            Self::Withdrawn => "withdrawn",
            Self::Erased => "erased",
            Self::Remodelled => "remodelled",
        }
    }
}

impl Serialize for CreditUpdate {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut row = out.serialize_struct("CreditUpdate", 22)?;
        row.serialize_field("milestone_id", &self.milestone_id)?;
        row.serialize_field("milestone_kind", &self.milestone_kind)?;
        row.serialize_field("model", &self.model)?;
        row.serialize_field("model_version", &self.model_version)?;
        row.serialize_field("touch_id", &self.touch_id)?;
        row.serialize_field("account_id", &self.account_id)?;
        row.serialize_field("profile_id", &self.profile_id)?;
        row.serialize_field("channel", &self.channel)?;
        row.serialize_field("source", &self.source)?;
        row.serialize_field("medium", &self.medium)?;
        row.serialize_field("campaign", &self.campaign)?;
        row.serialize_field("content", &self.content)?;
        row.serialize_field("term", &self.term)?;
        row.serialize_field("touch_time", &Whole(self.touch_time))?;
        row.serialize_field("milestone_time", &Whole(self.milestone_time))?;
        row.serialize_field("weight_nano", &Whole(self.weight_nano))?;
        row.serialize_field("value_minor", &Whole(self.value_minor))?;
        row.serialize_field("currency", &self.currency)?;
        row.serialize_field("delta_weight_nano", &Whole(self.delta_weight_nano))?;
        row.serialize_field("delta_value_minor", &Whole(self.delta_value_minor))?;
        row.serialize_field("revision", &Natural(self.revision))?;
        row.serialize_field("reason", self.reason().name())?;
        row.end()
    }
}

impl Serialize for Identifier {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut row = out.serialize_struct("Identifier", 3)?;
        row.serialize_field("kind", &self.kind)?;
        row.serialize_field("scope", &self.scope)?;
        row.serialize_field("value", &self.value)?;
        row.end()
    }
}

impl Serialize for Trait {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut row = out.serialize_struct("Trait", 2)?;
        row.serialize_field("name", &self.name)?;
        row.serialize_field("value", &self.value)?;
        row.end()
    }
}

impl Serialize for Profile {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut row = out.serialize_struct("Profile", 9)?;
        row.serialize_field("profile_id", &self.profile_id)?;
        row.serialize_field("account_id", &self.account_id)?;
        row.serialize_field("identifiers", &self.identifiers)?;
        row.serialize_field("traits", &self.traits)?;
        row.serialize_field("revoked", &self.revoked)?;
        row.serialize_field("merged_into", &self.merged_into)?;
        row.serialize_field("split_from", &self.split_from)?;
        row.serialize_field("quarantined", &self.quarantined)?;
        row.serialize_field("erased", &self.erased)?;
        row.end()
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut row = out.serialize_struct("Account", 7)?;
        row.serialize_field("account_id", &self.account_id)?;
        row.serialize_field("identifiers", &self.identifiers)?;
        row.serialize_field("traits", &self.traits)?;
        row.serialize_field("merged_into", &self.merged_into)?;
        row.serialize_field("split_from", &self.split_from)?;
        row.serialize_field("quarantined", &self.quarantined)?;
        row.serialize_field("erased", &self.erased)?;
        row.end()
    }
}

impl Serialize for Spend {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut row = out.serialize_struct("Spend", 8)?;
        row.serialize_field("spend_id", &self.spend_id)?;
        row.serialize_field("day", &self.day)?;
        row.serialize_field("channel", &self.channel)?;
        row.serialize_field("source", &self.source)?;
        row.serialize_field("medium", &self.medium)?;
        row.serialize_field("campaign", &self.campaign)?;
        row.serialize_field("value_minor", &Whole(self.value_minor))?;
        row.serialize_field("currency", &self.currency)?;
        row.end()
    }
}

impl Serialize for DeadLetter {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut row = out.serialize_struct("DeadLetter", 11)?;
        row.serialize_field("reason", &self.reason)?;
        row.serialize_field("detail", &self.detail)?;
        row.serialize_field("field", &self.field)?;
        row.serialize_field("stage", &self.stage)?;
        row.serialize_field("topic", &self.topic)?;
        row.serialize_field("partition", &self.partition)?;
        row.serialize_field("offset", &Whole(self.offset))?;
        row.serialize_field("index", &self.index)?;
        row.serialize_field("key", &Base64(&self.key))?;
        row.serialize_field("payload", &Base64(&self.payload))?;
        row.serialize_field("timestamp", &Whole(self.timestamp))?;
        row.end()
    }
}
