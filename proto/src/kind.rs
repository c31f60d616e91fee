//! Identifier kinds and their rank: the stronger the kind, the surer it is that it names one person.

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

/// A cookie.
pub const ANONYMOUS_ID: &str = "anonymous_id";
/// A device.
pub const DEVICE_ID: &str = "device_id";
/// An account's id in the CRM.
pub const CRM_ACCOUNT: &str = "crm_account";
/// An account's internet domain.
pub const DOMAIN: &str = "domain";

/// Kinds of account identifiers, strongest first.
pub const ACCOUNT: [&str; 2] = [CRM_ACCOUNT, DOMAIN];

/// Kinds whose values are unique only inside a scope, which must be given.
pub const SCOPED: [&str; 3] = ["wechat_openid", "wechat_unionid", "wecom_external_userid"];

/// Whether the kind names accounts, not people.
pub fn is_account(kind: &str) -> bool {
    ACCOUNT.contains(&kind)
}

/// Whether the kind names a browser or a device, not a person.
pub fn is_device(kind: &str) -> bool {
    WEAK.contains(&kind)
}

/// The kinds in force: the built-in ones, and the custom ones of the configuration between `phone` and `anonymous_id`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds {
    custom: Vec<String>,
}

impl Kinds {
    /// Kinds with these custom ones, strongest first.
    pub fn with_custom(custom: Vec<String>) -> Self {
        Self { custom }
    }

    /// The rank of a person or account kind, 0 the strongest; `None` for a kind nobody declared.
    pub fn rank(&self, kind: &str) -> Option<u32> {
        let position = if let Some(at) = STRONG.iter().position(|known| *known == kind) {
            at
        } else if let Some(at) = self.custom.iter().position(|known| known == kind) {
            STRONG.len() + at
        } else if let Some(at) = WEAK.iter().position(|known| *known == kind) {
            STRONG.len() + self.custom.len() + at
        } else {
            ACCOUNT.iter().position(|known| *known == kind)?
        };
        u32::try_from(position).ok()
    }

    /// All person kinds, strongest first.
    pub fn people(&self) -> impl Iterator<Item = &str> {
        STRONG.into_iter().chain(self.custom.iter().map(String::as_str)).chain(WEAK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_kinds_stand_between_phone_and_cookie() {
        let kinds = Kinds::with_custom(vec!["badge".into()]);
        assert!(kinds.rank("phone") < kinds.rank("badge"));
        assert!(kinds.rank("badge") < kinds.rank(ANONYMOUS_ID));
        assert_eq!(kinds.rank("crm_contact"), Some(0));
        assert_eq!(kinds.rank(DOMAIN), Some(1));
        assert_eq!(kinds.rank("badg"), None);
        assert_eq!(kinds.people().count(), 12);
    }
}
