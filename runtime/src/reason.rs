//! Why records are refused: codes that do not change, because operators and dashboards key on them.
//!
//! Nobody can refuse a record for a reason that is not in these lists: so metrics have their bounded set of labels.

use std::fmt;

/// Why a record, or an event of it, is refused: one of those of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Reason(&'static str);

impl Reason {
    /// Its code.
    pub const fn code(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

macro_rules! reasons {
    ($(#[$about:meta])* $list:ident: $($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub const $name: Reason = Reason($code);)*

        $(#[$about])*
        pub const $list: &[Reason] = &[$($name),*];
    };
}

reasons! {
    /// Those for which a raw record is refused, or an event of it.
    OF_RAW_RECORDS:
    /// The value is not UTF-8.
    UTF8_INVALID = "utf8_invalid";
    /// The value is not well-formed JSON, is nested deeper than allowed, or is not a JSON object.
    JSON_MALFORMED = "json_malformed";
    /// The record, its JSON or its XML is larger than allowed.
    RECORD_TOO_LARGE = "record_too_large";
    /// One field is longer than allowed.
    FIELD_TOO_LARGE = "field_too_large";
    /// A field that this kind of record needs is absent or blank.
    FIELD_MISSING = "field_missing";
    /// A field is present, but not what its definition allows.
    VALUE_INVALID = "value_invalid";
    /// A field stands more than once in its record.
    KEY_DUPLICATE = "key_duplicate";
    /// A row does not have the columns of its header, or the header names a column twice.
    CSV_MALFORMED = "csv_malformed";
    /// The body is not well-formed XML, or is nested deeper than allowed.
    XML_MALFORMED = "xml_malformed";
    /// The body has a DOCTYPE or refers to an entity that only a DOCTYPE could define.
    XML_DOCTYPE = "xml_doctype";
    /// The push is still encrypted.
    XML_ENCRYPTED = "xml_encrypted";
    /// The envelope names a provider that nobody decodes.
    PROVIDER_UNKNOWN = "provider_unknown";
    /// A provider says that something changed, but not how: it must be fetched and sent.
    RECORD_INCOMPLETE = "record_incomplete";
    /// The record's `kind` (or the message's `type`) does not exist.
    KIND_UNKNOWN = "kind_unknown";
    /// The event has no time.
    TIMESTAMP_MISSING = "timestamp_missing";
    /// A time is neither RFC 3339 nor a local time, or lies before 1970.
    TIMESTAMP_INVALID = "timestamp_invalid";
    /// A time lies further after the receive time than the configuration allows.
    TIMESTAMP_FUTURE = "timestamp_future";
    /// The event names nobody: no identifier, or none that is left after the blocked values are dropped.
    IDENTIFIER_MISSING = "identifier_missing";
    /// An identifier of a scoped kind, such as an OpenID, comes without its scope.
    IDENTIFIER_SCOPE_MISSING = "identifier_scope_missing";
    /// An identifier is not what its kind allows: not an address, not a number, a number mangled by a spreadsheet.
    IDENTIFIER_INVALID = "identifier_invalid";
    /// An identifier is longer than allowed.
    IDENTIFIER_TOO_LONG = "identifier_too_long";
    /// The event has more identifiers than allowed.
    IDENTIFIERS_TOO_MANY = "identifiers_too_many";
    /// The milestone's kind is neither in the vocabulary nor in the configuration.
    MILESTONE_UNKNOWN = "milestone_unknown";
    /// The currency is not an ISO 4217 code.
    CURRENCY_UNKNOWN = "currency_unknown";
    /// A URL is longer than allowed.
    URL_TOO_LONG = "url_too_long";
    /// A URL has more query pairs than allowed.
    URL_PAIRS_TOO_MANY = "url_pairs_too_many";
}

reasons! {
    /// Those for which a record between stages is refused: something else writes to the topic, or another version.
    OF_INTERNAL_RECORDS:
    /// The record is not a message of its topic.
    PROTOBUF_MALFORMED = "protobuf_malformed";
    /// The milestone's value is below 0.
    VALUE_NEGATIVE = "value_negative";
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
        }
    }
}
