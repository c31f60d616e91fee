//! Reasons for refusing records: stable codes, because operators and dashboards key on them.
//!
//! Every refusal has a reason from these lists, so the metrics have a bounded set of labels.

use std::fmt;

/// The reason why a record, or an event in it, is refused: one of those in this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Reason {
    code: &'static str,
    #[serde(skip)]
    meaning: &'static str,
    #[serde(skip)]
    remedy: &'static str,
}

impl Reason {
    /// Its code.
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// What it means, in a sentence.
    pub fn meaning(self) -> &'static str {
        self.meaning.trim()
    }

    /// What to do, in a sentence.
    pub const fn remedy(self) -> &'static str {
        self.remedy
    }

    /// The reason with this code.
    pub fn find(code: &str) -> Option<Self> {
        OF_RAW_RECORDS.iter().chain(OF_INTERNAL_RECORDS).find(|reason| reason.code == code).copied()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code)
    }
}

macro_rules! reasons {
    ($(#[$about:meta])* $list:ident: $(#[doc = $meaning:literal] $name:ident = $code:literal, $remedy:literal;)*) => {
        $(#[doc = $meaning] pub const $name: Reason = Reason { code: $code, meaning: $meaning, remedy: $remedy };)*

        $(#[$about])*
        pub const $list: &[Reason] = &[$($name),*];
    };
}

reasons! {
    /// Reasons to refuse a raw record, or an event in it.
    OF_RAW_RECORDS:
    /// The value is not UTF-8.
    UTF8_INVALID = "utf8_invalid",
        "Have the sender write UTF-8; for files give `import --encoding`.";
    /// The value is not well-formed JSON, is nested deeper than allowed, or is not a JSON object.
    JSON_MALFORMED = "json_malformed",
        "Look at the bytes with `tributary dead-letters show`: the sender cuts them off, nests them too deep, or writes no JSON.";
    /// The record, its JSON or its XML is larger than allowed.
    RECORD_TOO_LARGE = "record_too_large",
        "Send less in one record: leave large fields out, or split the batch.";
    /// One field is longer than allowed.
    FIELD_TOO_LARGE = "field_too_large",
        "Shorten the field at the sender.";
    /// A field that this kind of record needs is absent or blank.
    FIELD_MISSING = "field_missing",
        "Add the field that the dead letter names.";
    /// A field is present, but not what its definition allows.
    VALUE_INVALID = "value_invalid",
        "Correct the field that the dead letter names; docs/inputs.md says what it may hold.";
    /// A field occurs more than once in its record.
    KEY_DUPLICATE = "key_duplicate",
        "Send each field once.";
    /// A row does not have the columns of its header, or the header names a column twice.
    CSV_MALFORMED = "csv_malformed",
        "Correct the row, or the header: `import --dry-run` shows line and column.";
    /// The body is not well-formed XML, or is nested deeper than allowed.
    XML_MALFORMED = "xml_malformed",
        "Pass the provider's body on as it came.";
    /// The body has a DOCTYPE or refers to an entity that only a DOCTYPE could define.
    XML_DOCTYPE = "xml_doctype",
        "Somebody else than the provider sends this: check who may reach the endpoint.";
    /// The push is still encrypted.
    XML_ENCRYPTED = "xml_encrypted",
        "Give the collector the EncodingAESKey, or decrypt before the topic.";
    /// The envelope names a provider that has no decoder.
    PROVIDER_UNKNOWN = "provider_unknown",
        "Name a built-in provider in the envelope, or describe it in `[ingest.webhook.mappings]`.";
    /// A provider reports a change without its content: it must be fetched and sent.
    RECORD_INCOMPLETE = "record_incomplete",
        "Add the field that the dead letter names to what the provider sends, or fetch the record and send it.";
    /// The record's `kind` (or the message's `type`) does not exist.
    KIND_UNKNOWN = "kind_unknown",
        "Correct `kind` (or the message's `type`): the dead letter lists the known ones.";
    /// The event has no time.
    TIMESTAMP_MISSING = "timestamp_missing",
        "Give every record its `timestamp`.";
    /// A time is neither RFC 3339 nor a local time, or lies before 1970.
    TIMESTAMP_INVALID = "timestamp_invalid",
        "Write RFC 3339, a local time in the configured zone, or seconds or milliseconds since 1970.";
    /// A time lies further after the receive time than the configuration allows.
    TIMESTAMP_FUTURE = "timestamp_future",
        "Check the sender's clock and its zone.";
    /// A time of a public event lies further before the receive time than the configuration allows.
    TIMESTAMP_TOO_OLD = "timestamp_too_old",
        "Send what is older through a trusted key or an import, or raise `ingest.public_age_hours`.";
    /// It came through a public write key, and only trusted sources may say so.
    PUBLIC_REFUSED = "public_refused",
        "Send it through a trusted key, or open the kind of milestone with `ingest.public_milestones`.";
    /// The event has no identifier, or none is left after blocked values are dropped.
    IDENTIFIER_MISSING = "identifier_missing",
        "Name the person or the account; a placeholder such as `null` or `anonymous` is no name.";
    /// An identifier of a scoped kind, such as an OpenID, comes without its scope.
    IDENTIFIER_SCOPE_MISSING = "identifier_scope_missing",
        "Write `scope:value`: of a WeChat OpenID the scope is its appid.";
    /// An identifier is not what its kind allows: not an address, not a number, a number mangled by a spreadsheet.
    IDENTIFIER_INVALID = "identifier_invalid",
        "Correct the identifier at its source: a spreadsheet may have mangled it.";
    /// An identifier is longer than allowed.
    IDENTIFIER_TOO_LONG = "identifier_too_long",
        "Correct the identifier: none that is real is so long.";
    /// The event has more identifiers than allowed.
    IDENTIFIERS_TOO_MANY = "identifiers_too_many",
        "Split the record: nobody has so many names.";
    /// The milestone's kind is neither in the vocabulary nor in the configuration.
    MILESTONE_UNKNOWN = "milestone_unknown",
        "Use a known kind, or add this one to `kinds.milestones`.";
    /// A dimension is given that the configuration does not declare. The rest of the record counts.
    DIMENSION_UNKNOWN = "dimension_unknown",
        "Declare its name in `ingest.dimensions`, or do not send it.";
    /// The currency is not an ISO 4217 code.
    CURRENCY_UNKNOWN = "currency_unknown",
        "Write the code of ISO 4217: `CNY`, not `RMB` or a sign.";
    /// A URL is longer than allowed.
    URL_TOO_LONG = "url_too_long",
        "Shorten the URL at the sender.";
    /// A URL has more query pairs than allowed.
    URL_PAIRS_TOO_MANY = "url_pairs_too_many",
        "Shorten the query at the sender.";
}

reasons! {
    /// Reasons to refuse a record between stages: another program, or another version, writes to the topic.
    OF_INTERNAL_RECORDS:
    /// The record is not a message of its topic.
    PROTOBUF_MALFORMED = "protobuf_malformed",
        "Only Tributary may write to its inboxes: find who else does, and keep them out by ACLs.";
    /// The milestone's value is below 0.
    VALUE_NEGATIVE = "value_negative",
        "Only Tributary may write to its inboxes: find who else does, and keep them out by ACLs.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_in_snake_case() {
        let all = [OF_RAW_RECORDS, OF_INTERNAL_RECORDS].concat();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        for reason in all {
            assert!(reason.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
            assert_eq!(Reason::find(reason.code()), Some(reason));
            assert!(reason.meaning().ends_with('.') && reason.remedy().ends_with('.'), "{reason}");
        }
    }
}
