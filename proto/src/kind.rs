//! Identifier kinds and their rank: the stronger the kind, the more certainly it names one person. And all [`Kinds`] of a configuration.

use crate::vocabulary::MILESTONES;

/// Kinds of person identifiers stronger than any custom kind, strongest first.
pub const STRONG: [&str; 9] = [
    "crm_contact",
    "crm_lead",
    "user_id",
    "wechat_unionid",
    "wechat_openid",
    "wecom_external_userid",
    "email",
    "email_sha256",
    "phone",
];

/// Kinds of person identifiers weaker than any custom kind, strongest first: they name a browser or a device.
pub const WEAK: [&str; 2] = [ANONYMOUS_ID, DEVICE_ID];

/// A cookie's id.
pub const ANONYMOUS_ID: &str = "anonymous_id";
/// A device's id.
pub const DEVICE_ID: &str = "device_id";
/// An account's id in the CRM.
pub const CRM_ACCOUNT: &str = "crm_account";
/// An account's internet domain.
pub const DOMAIN: &str = "domain";

/// The name of an account's company: the weakest kind. Made by ingest from names in traits and records; senders cannot name it.
pub const COMPANY_NAME: &str = "company_name";

/// Kinds of account identifiers that senders name, strongest first.
pub const ACCOUNT: [&str; 2] = [CRM_ACCOUNT, DOMAIN];

/// Kinds whose values are unique only inside a scope, which must be given.
pub const SCOPED: [&str; 3] = ["wechat_openid", "wechat_unionid", "wecom_external_userid"];

/// Whether the kind names accounts, not people.
pub fn is_account(kind: &str) -> bool {
    ACCOUNT.contains(&kind) || kind == COMPANY_NAME
}

/// Whether the kind names a browser or a device, not a person.
pub fn is_device(kind: &str) -> bool {
    WEAK.contains(&kind)
}

/// The kinds of identifiers and of milestones: the built-in ones and those of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds {
    identifiers: Vec<String>,
    milestones: Vec<String>,
}

impl Kinds {
    /// The built-in kinds and these: of identifiers, strongest first, ranked between `phone` and `anonymous_id`; and of milestones.
    pub fn new(identifiers: Vec<String>, milestones: Vec<String>) -> Self {
        Self { identifiers, milestones }
    }

    /// The kinds of identifiers that the configuration adds, strongest first.
    pub fn custom_identifiers(&self) -> &[String] {
        &self.identifiers
    }

    /// The rank of a kind of persons or accounts, 0 the strongest; `None` for an undeclared kind.
    pub fn rank(&self, kind: &str) -> Option<u32> {
        let position = if let Some(at) = STRONG.iter().position(|known| *known == kind) {
            at
        } else if let Some(at) = self.identifiers.iter().position(|known| known == kind) {
            STRONG.len() + at
        } else if let Some(at) = WEAK.iter().position(|known| *known == kind) {
            STRONG.len() + self.identifiers.len() + at
        } else {
            ACCOUNT.into_iter().chain([COMPANY_NAME]).position(|known| known == kind)?
        };
        u32::try_from(position).ok()
    }

    /// The kinds of milestones: the built-in ones in the order of a B2B cycle, then those of the configuration.
    pub fn milestones(&self) -> impl Iterator<Item = &str> {
        MILESTONES.iter().map(|term| term.name).chain(self.milestones.iter().map(String::as_str))
    }

    /// The kind of milestone with this name or synonym, in any case.
    pub fn milestone(&self, name: &str) -> Option<&str> {
        let name = name.trim();
        let called = |name| MILESTONES.iter().find(|term| term.is_called(name)).map(|term| term.name);
        self.milestones().find(|known| known.eq_ignore_ascii_case(name)).or_else(|| called(name))
    }

    /// The error text for a name that is no kind of milestone.
    pub fn no_milestone(&self) -> String {
        let known: Vec<&str> = self.milestones().collect();
        format!("is no kind of milestone; known are {}, and what kinds.milestones adds", known.join(", "))
    }

    /// All person kinds, strongest first.
    pub fn people(&self) -> impl Iterator<Item = &str> {
        STRONG.into_iter().chain(self.identifiers.iter().map(String::as_str)).chain(WEAK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_kinds_rank_between_phone_and_cookie() {
        let kinds = Kinds::new(vec!["badge".into()], Vec::new());
        assert!(kinds.rank("phone") < kinds.rank("badge"));
        assert!(kinds.rank("badge") < kinds.rank(ANONYMOUS_ID));
        assert_eq!(kinds.rank("crm_contact"), Some(0));
        assert_eq!((kinds.rank(DOMAIN), kinds.rank(COMPANY_NAME)), (Some(1), Some(2)));
        assert_eq!(kinds.rank("badg"), None);
        assert_eq!(kinds.people().count(), 12);
    }

    #[test]
    fn names_of_milestones_are_read_in_any_case() {
        let kinds = Kinds::new(Vec::new(), vec!["poc_passed".into()]);
        assert_eq!((kinds.milestone(" MQL"), kinds.milestone("PoC_Passed")), (Some("mql"), Some("poc_passed")));
        assert_eq!((kinds.milestone("赢单"), kinds.milestone("Closed Won")), (Some("closed_won"), Some("closed_won")));
        assert_eq!(kinds.milestone("qml"), None);
        assert!(kinds.no_milestone().contains("expansion, poc_passed,"));
    }
}
