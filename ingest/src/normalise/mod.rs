//! Normalisation of identifiers: what two senders mean as the same must become the same bytes.

pub mod blocked;
pub mod email;
pub mod phone;
mod placeholders;
pub(crate) mod salesforce_id;
pub mod text;
pub(crate) mod unfilled;

use std::borrow::Cow;

use tributary_proto::Identifier;
use tributary_proto::kind::{self, Kinds};

use blocked::BlockedValues;
use phone::{NoNumber, Region};

use crate::limits::ID_BYTES_MAX;
use crate::reason::{self, Reason};

/// How the values of a kind are normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Email,
    EmailSha256,
    Phone,
    Domain,
    /// Kept as the sender wrote it, without invisible characters.
    Id,
    /// The id of a CRM record. A Salesforce id with this prefix is brought to its long form.
    Record(&'static str),
}

/// A kind of identifier that is in force.
#[derive(Debug)]
pub(crate) struct KindRule {
    /// The kind's name.
    pub(crate) name: String,
    /// 0 is the strongest, among people or among accounts.
    pub(crate) rank: u32,
    /// Whether it names accounts.
    pub(crate) account: bool,
    scoped: bool,
    form: Form,
}

/// The result of normalising a value.
#[derive(Debug, PartialEq)]
pub(crate) enum Normalised {
    /// An identifier.
    Identifier(Identifier),
    /// The value is blocked.
    Blocked,
}

/// Why a value cannot be an identifier: reason code, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) detail: &'static str,
}

/// The kinds of identifiers, with the rules for their values.
#[derive(Debug)]
pub(crate) struct IdentifierRules {
    kinds: Vec<KindRule>,
    blocked: BlockedValues,
    region: Region,
}

impl IdentifierRules {
    pub(crate) fn new(ranks: &Kinds, blocked: BlockedValues, region: Region) -> Self {
        let kinds = ranks
            .people()
            .chain(kind::ACCOUNT)
            .map(|name| KindRule {
                name: name.to_owned(),
                rank: ranks.rank(name).unwrap_or(u32::MAX),
                account: kind::is_account(name),
                scoped: kind::SCOPED.contains(&name),
                form: match name {
                    "email" => Form::Email,
                    "email_sha256" => Form::EmailSha256,
                    "phone" => Form::Phone,
                    kind::DOMAIN => Form::Domain,
                    kind::CRM_ACCOUNT => Form::Record(salesforce_id::ACCOUNT),
                    "crm_contact" => Form::Record(salesforce_id::CONTACT),
                    "crm_lead" => Form::Record(salesforce_id::LEAD),
                    _ => Form::Id,
                },
            })
            .collect();
        Self { kinds, blocked, region }
    }

    /// The rule of a kind; `account` is the native record's name for `crm_account`.
    pub(crate) fn find(&self, name: &str) -> Option<&KindRule> {
        let name = if name == "account" { kind::CRM_ACCOUNT } else { name };
        self.kinds.iter().find(|rule| rule.name == name)
    }

    /// Whether a value is blocked, as `null` and `000000` are.
    pub(crate) fn is_blocked(&self, value: &str) -> bool {
        self.blocked.contains(value)
    }

    /// The values in a text: people write several phone numbers or addresses into one cell.
    pub(crate) fn parts<'t>(&self, rule: &KindRule, text: &'t str) -> Vec<Cow<'t, str>> {
        match rule.form {
            Form::Phone if !self.blocked.contains(text) => self.region.parts(text),
            Form::Email => email::parts(text),
            _ => vec![Cow::Borrowed(text)],
        }
    }

    /// The kind of an id that is an email address or a phone number: shops and apps use these for signing in.
    pub(crate) fn contact_kind(&self, id: &str) -> Option<&'static str> {
        let id = id.trim();
        if id.contains('@') && !id.contains(char::is_whitespace) && email::normalise(id).is_some() {
            return Some("email");
        }
        self.region.is_surely_a_number(id).then_some("phone")
    }

    /// Normalises one raw value of a kind. Applying it to its own result changes nothing.
    pub(crate) fn normalise(&self, rule: &KindRule, raw: &str) -> Result<Normalised, Refused> {
        let cleaned = text::clean(raw);
        if self.blocked.contains(&cleaned) {
            return Ok(Normalised::Blocked);
        }
        let (scope, value) = if rule.scoped { split_scope(&cleaned)? } else { ("", &*cleaned) };
        if rule.scoped && (self.blocked.contains(scope) || self.blocked.contains(value)) {
            return Ok(Normalised::Blocked);
        }
        let value: Cow<'_, str> = match rule.form {
            Form::Id => Cow::Borrowed(value),
            Form::Record(prefix) => salesforce_id::long_form(value, prefix),
            Form::Email => Cow::Owned(email::normalise(value).ok_or(EMAIL_INVALID)?),
            Form::EmailSha256 => Cow::Owned(email::normalise_sha256(value).ok_or(SHA256_INVALID)?),
            Form::Phone => Cow::Owned(self.region.e164(value).map_err(no_number)?),
            Form::Domain => Cow::Owned(email::normalise_domain(value).ok_or(DOMAIN_INVALID)?),
        };
        // A blocked value may be hidden inside other text: `Li <null@null.com>`.
        if let Cow::Owned(value) = &value
            && self.blocked.contains(value)
        {
            return Ok(Normalised::Blocked);
        }
        if matches!(rule.form, Form::Id | Form::Record(_)) && looks_mangled(&value) {
            return Err(MANGLED);
        }
        if scope.len() > ID_BYTES_MAX || value.len() > ID_BYTES_MAX {
            return Err(TOO_LONG);
        }
        Ok(Normalised::Identifier(Identifier::new(&*rule.name, scope, value)))
    }
}

const EMAIL_INVALID: Refused = invalid("not an e-mail address: expected name@domain");
const SHA256_INVALID: Refused = invalid("not a SHA-256: expected 64 hexadecimal digits");
const PHONE_INVALID: Refused = invalid("not a valid phone number of the default region, nor one with + and country code");
const PHONE_EXTENSION: Refused =
    invalid("a phone number with an extension, or a masked one: the number before it is many people's");
const PHONE_SERVICE: Refused = invalid("a service's phone number (toll-free, shared cost, premium): nobody's own");
const DOMAIN_INVALID: Refused = invalid("not a domain name: expected name.tld");
const MANGLED: Refused = invalid("a number in scientific notation: the spreadsheet has lost digits; export the column as text");
const SCOPE_MISSING: Refused =
    Refused { reason: reason::IDENTIFIER_SCOPE_MISSING, detail: "the value is unique only inside a scope: send `scope:value`" };
const TOO_LONG: Refused = Refused { reason: reason::IDENTIFIER_TOO_LONG, detail: "an identifier has at most 256 bytes" };

const fn invalid(detail: &'static str) -> Refused {
    Refused { reason: reason::IDENTIFIER_INVALID, detail }
}

fn no_number(why: NoNumber) -> Refused {
    match why {
        NoNumber::Invalid => PHONE_INVALID,
        NoNumber::Extension => PHONE_EXTENSION,
        NoNumber::Service => PHONE_SERVICE,
    }
}

/// Splits `scope:value` at the first colon.
fn split_scope(text: &str) -> Result<(&str, &str), Refused> {
    match text.split_once(':') {
        Some((scope, value)) if !scope.trim().is_empty() => Ok((scope.trim(), value.trim())),
        _ => Err(SCOPE_MISSING),
    }
}

/// Whether an id is a number as spreadsheets abbreviate long ones: `1.38E+10`.
pub(crate) fn looks_mangled(value: &str) -> bool {
    let Some((mantissa, exponent)) = value.split_once(['E', 'e']) else { return false };
    let Some(digits) = exponent.strip_prefix('+') else { return false };
    let mantissa_ok = mantissa.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !mantissa.is_empty();
    mantissa_ok && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> IdentifierRules {
        IdentifierRules::new(
            &Kinds::new(vec!["badge".into()], Vec::new()),
            BlockedValues::new(&[]),
            Region::parse("CN").unwrap(),
        )
    }

    fn value(kind: &str, raw: &str) -> Result<Option<(String, String)>, Reason> {
        let rules = rules();
        match rules.normalise(rules.find(kind).unwrap(), raw) {
            Ok(Normalised::Identifier(found)) => Ok(Some((found.scope.to_string(), found.value.to_string()))),
            Ok(Normalised::Blocked) => Ok(None),
            Err(refused) => Err(refused.reason),
        }
    }

    #[test]
    fn values_become_one_form() {
        let ok = |scope: &str, value: &str| Ok(Some((scope.to_owned(), value.to_owned())));
        assert_eq!(value("email", " Zhang@B-Corp.example "), ok("", "zhang@b-corp.example"));
        assert_eq!(value("phone", "138 0000 1111"), ok("", "+8613800001111"));
        assert_eq!(value("wechat_openid", "gh_acorp: oZhang"), ok("gh_acorp", "oZhang"));
        assert_eq!(value("anonymous_id", "a\u{200b}b\u{202e}\u{0}c "), ok("", "abc"));
        assert_eq!(value("account", "001B"), ok("", "001B"));
        assert_eq!(value("domain", "https://www.B-Corp.example/about"), ok("", "b-corp.example"));
        assert_eq!(value("badge", "7"), ok("", "7"));
    }

    #[test]
    fn blocked_values_are_dropped_and_bad_ones_refused() {
        for (kind, raw) in [
            ("user_id", "${userId}"),
            ("user_id", "-1"),
            ("crm_contact", "000000000000000AAA"),
            ("device_id", "02:00:00:00:00:00"),
            ("email", "Nobody <null@null.com>"),
            ("user_id", "null@null.com"),
            ("phone", "{{phone}}"),
            ("phone", "13800138000"),
            ("phone", "+86 138-0013-8000"),
            ("phone", "13800000000"),
            ("phone", "010-88888888"),
            ("phone", "+1 234 567 8901"),
            ("account", "%ACCOUNT%"),
            ("domain", "<domain>"),
            ("email_sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ] {
            assert_eq!(value(kind, raw), Ok(None), "{kind} {raw}");
        }
        for blocked in ["null", "NULL", " \"null\" ", "wx1:undefined", "", "000-000"] {
            assert_eq!(value("wechat_openid", blocked), Ok(None), "{blocked}");
        }
        assert_eq!(value("wechat_openid", "oZhang"), Err(reason::IDENTIFIER_SCOPE_MISSING));
        assert_eq!(value("wechat_openid", ":oZhang"), Err(reason::IDENTIFIER_SCOPE_MISSING));
        assert_eq!(value("crm_contact", "1.38E+10"), Err(reason::IDENTIFIER_INVALID));
        for none in ["1.38E+10", "11111111111", "12345678901", "123456789", "00000000001"] {
            assert_eq!(value("phone", none), Err(reason::IDENTIFIER_INVALID), "{none}");
        }
        assert!(["13800001111", "19912345678", "13800138001"].iter().all(|number| value("phone", number).unwrap().is_some()));
        assert_eq!(value("user_id", &"x".repeat(257)), Err(reason::IDENTIFIER_TOO_LONG));
        assert_eq!(value("user_id", "e+1x"), Ok(Some((String::new(), "e+1x".into()))));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(raw in ".{0,60}", at in 0usize..14) {
            let rules = rules();
            let rule = &rules.kinds[at % rules.kinds.len()];
            if let Ok(Normalised::Identifier(once)) = rules.normalise(rule, &raw) {
                let again = if once.scope.is_empty() { once.value.to_string() } else { format!("{}:{}", once.scope, once.value) };
                prop_assert_eq!(rules.normalise(rule, &again), Ok(Normalised::Identifier(once)));
            }
        }
    }
}
