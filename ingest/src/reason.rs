//! Why ingest refuses a record or an event: codes that do not change, because operators and dashboards key on them.

/// The value is not UTF-8.
pub const UTF8_INVALID: &str = "utf8_invalid";
/// The value is not well-formed JSON, is nested deeper than allowed, or is not a JSON object.
pub const JSON_MALFORMED: &str = "json_malformed";
/// The record, its JSON or its XML is larger than allowed.
pub const RECORD_TOO_LARGE: &str = "record_too_large";
/// One field is longer than allowed.
pub const FIELD_TOO_LARGE: &str = "field_too_large";
/// A field that this kind of record needs is absent or blank.
pub const FIELD_MISSING: &str = "field_missing";
/// A field is present, but not what its definition allows.
pub const VALUE_INVALID: &str = "value_invalid";
/// A field stands more than once in its record.
pub const KEY_DUPLICATE: &str = "key_duplicate";
/// A row does not have the columns of its header, or the header names a column twice.
pub const CSV_MALFORMED: &str = "csv_malformed";
/// The body is not well-formed XML, or is nested deeper than allowed.
pub const XML_MALFORMED: &str = "xml_malformed";
/// The body has a DOCTYPE or refers to an entity that only a DOCTYPE could define.
pub const XML_DOCTYPE: &str = "xml_doctype";
/// The push is still encrypted.
pub const XML_ENCRYPTED: &str = "xml_encrypted";
/// The envelope names a provider that nobody decodes.
pub const PROVIDER_UNKNOWN: &str = "provider_unknown";
/// A provider says that something changed, but not how: it must be fetched and sent.
pub const RECORD_INCOMPLETE: &str = "record_incomplete";
/// The record's `kind` (or the message's `type`) does not exist.
pub const KIND_UNKNOWN: &str = "kind_unknown";
/// The record's `kind` exists, but this version does not process it.
pub const KIND_UNSUPPORTED: &str = "kind_unsupported";
/// The event has no time.
pub const TIMESTAMP_MISSING: &str = "timestamp_missing";
/// A time is neither RFC 3339 nor a local time, or lies before 1970.
pub const TIMESTAMP_INVALID: &str = "timestamp_invalid";
/// A time lies further after the receive time than the configuration allows.
pub const TIMESTAMP_FUTURE: &str = "timestamp_future";
/// The event names nobody: no identifier, or none that is left after the blocked values are dropped.
pub const IDENTIFIER_MISSING: &str = "identifier_missing";
/// An identifier of a scoped kind, such as an OpenID, comes without its scope.
pub const IDENTIFIER_SCOPE_MISSING: &str = "identifier_scope_missing";
/// An identifier is not what its kind allows: not an address, not a number, a number mangled by a spreadsheet.
pub const IDENTIFIER_INVALID: &str = "identifier_invalid";
/// An identifier is longer than allowed.
pub const IDENTIFIER_TOO_LONG: &str = "identifier_too_long";
/// The event has more identifiers than allowed.
pub const IDENTIFIERS_TOO_MANY: &str = "identifiers_too_many";
/// The milestone's kind is neither in the vocabulary nor in the configuration.
pub const MILESTONE_UNKNOWN: &str = "milestone_unknown";
/// The currency is not an ISO 4217 code.
pub const CURRENCY_UNKNOWN: &str = "currency_unknown";
/// A URL is longer than allowed.
pub const URL_TOO_LONG: &str = "url_too_long";
/// A URL has more query pairs than allowed.
pub const URL_PAIRS_TOO_MANY: &str = "url_pairs_too_many";

/// Every code, for documentation, for checks, and to give metrics their bounded set of labels.
pub const ALL: [&str; 27] = [
    UTF8_INVALID,
    JSON_MALFORMED,
    RECORD_TOO_LARGE,
    FIELD_TOO_LARGE,
    FIELD_MISSING,
    VALUE_INVALID,
    KEY_DUPLICATE,
    CSV_MALFORMED,
    XML_MALFORMED,
    XML_DOCTYPE,
    XML_ENCRYPTED,
    PROVIDER_UNKNOWN,
    RECORD_INCOMPLETE,
    KIND_UNKNOWN,
    KIND_UNSUPPORTED,
    TIMESTAMP_MISSING,
    TIMESTAMP_INVALID,
    TIMESTAMP_FUTURE,
    IDENTIFIER_MISSING,
    IDENTIFIER_SCOPE_MISSING,
    IDENTIFIER_INVALID,
    IDENTIFIER_TOO_LONG,
    IDENTIFIERS_TOO_MANY,
    MILESTONE_UNKNOWN,
    CURRENCY_UNKNOWN,
    URL_TOO_LONG,
    URL_PAIRS_TOO_MANY,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    #[test]
    fn codes_are_distinct_and_in_snake_case() {
        assert_eq!(ALL.iter().collect::<BTreeSet<_>>().len(), ALL.len());
        for code in ALL {
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
        }
    }
}
