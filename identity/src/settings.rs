//! The rules of identity: the configuration, and its compiled form.

use std::collections::{BTreeMap, BTreeSet};

use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use tributary_proto::Identifier;
use tributary_proto::kind::{self, Kinds};
use tributary_runtime::config::{AccountLevel, Given, OpenMap, Problems, Section, Shape};

use crate::free_mail;

/// Cost of computing clusters, in members and links, above which their root is throttled: three times that of an ordinary event. So no
/// shape of links makes events much more expensive.
const REST_AFTER: u64 = 100;

/// Parts of a component are at most about this many bytes: well below 256 KiB, the size that no message of ours exceeds.
const PART_BYTES_MAX: usize = 200 * 1024;

/// Section `[identity]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many identifiers of a kind (and scope) one profile may have, 1 or more.
    pub limits: BTreeMap<String, u32>,
    /// The limit of kinds that `limits` does not name.
    pub default_limit: u32,
    /// Kinds of records that their system merges, and of ids that it replaces. Those of one kind that explicit links declare to be one
    /// count once against its limit, and never count towards each other's `shared_after`.
    pub merged_kinds: BTreeSet<String>,
    /// An identifier linked to more than this many distinct identifiers of kinds whose limit is 1 is shared: it joins nobody.
    pub shared_after: u32,
    /// An identifier linked to more than this many distinct identifiers of any kind is shared.
    pub shared_any: u32,
    /// A cluster of more identifiers than this is quarantined: its links join nobody.
    pub max_cluster: u32,
    /// How many public-only identifiers may be connected by their links, 1 or more: above that the links join nobody.
    pub public_cluster: u32,
    /// How many cookies and devices may be among these, 1 or more.
    pub anonymous_cluster: u32,
    /// How many public-only identifiers a profile may have beside its trusted ones, 1 or more.
    pub public_leaves: u32,
    /// What public events may join.
    pub public_joins: PublicJoins,
    /// Which account a touch belongs to when its person has changed companies.
    pub membership: Membership,
    /// How many entries the list of an account's people in topic `accounts` has at most, 0 to 1,000.
    pub account_people: u32,
    /// Domains of free-mail providers beside the built-in list: they name no account.
    pub free_mail: Vec<String>,
    /// Kinds of milestones that an object can reach again: a report at least this many days after the one before is a milestone of its own,
    /// `mql:00Q1#2`. 1 to 36,500.
    pub reentry_after_days: BTreeMap<String, u32>,
    /// ISO 4217 code for milestones without a currency. From `ingest.currency`; not a setting of this section.
    #[serde(skip)]
    pub currency: String,
    /// The level of accounts that is the unit of attribution. From `attribution.account_level`; not a setting of this section.
    #[serde(skip)]
    pub account_level: AccountLevel,
}

/// What public events may join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicJoins {
    /// Everything that no limit and no trusted evidence keeps apart.
    #[default]
    All,
    /// A cookie or a device with one other identifier, by its first link; nothing else.
    Anonymous,
}

/// Which account a touch belongs to when its person has changed companies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    /// That of the touch's time: credit for what was won before a person moved stays.
    #[default]
    AsOf,
    /// The one asserted last: the whole history moves with the person.
    Latest,
}

impl Default for Settings {
    fn default() -> Self {
        let single = ["crm_contact", "user_id", kind::CRM_ACCOUNT];
        let merged = ["crm_contact", "crm_lead", "user_id", kind::CRM_ACCOUNT];
        Self {
            limits: single.into_iter().map(|kind| (kind.to_owned(), 1)).collect(),
            default_limit: 5,
            merged_kinds: merged.into_iter().map(str::to_owned).collect(),
            shared_after: 3,
            shared_any: 50,
            max_cluster: 10_000,
            public_cluster: 200,
            anonymous_cluster: 100,
            public_leaves: 1_000,
            public_joins: PublicJoins::default(),
            membership: Membership::default(),
            account_people: 100,
            free_mail: Vec::new(),
            reentry_after_days: BTreeMap::new(),
            currency: "CNY".to_owned(),
            account_level: AccountLevel::default(),
        }
    }
}

/// The rules, ready for use.
#[derive(Debug, Clone)]
pub struct Rules {
    kinds: Kinds,
    limits: BTreeMap<String, u32>,
    default_limit: u32,
    merged_kinds: BTreeSet<String>,
    declared_free: BTreeSet<String>,
    reentry_after_days: BTreeMap<String, u32>,
    /// See [`Settings::currency`].
    pub currency: Currency,
    /// See [`Settings::shared_after`].
    pub shared_after: u32,
    /// See [`Settings::shared_any`].
    pub shared_any: u32,
    /// See [`Settings::max_cluster`].
    pub max_cluster: usize,
    /// See [`Settings::public_cluster`].
    pub public_cluster: usize,
    /// See [`Settings::anonymous_cluster`].
    pub anonymous_cluster: usize,
    /// See [`Settings::public_leaves`].
    pub public_leaves: usize,
    /// See [`Settings::public_joins`].
    pub public_joins: PublicJoins,
    /// See [`Settings::membership`].
    pub membership: Membership,
    /// See [`Settings::account_people`].
    pub account_people: usize,
    /// The first 8 bytes of a hash of all settings. A digest that changes for no reason costs a pass over the identifiers, but changes no
    /// result.
    pub digest: u64,
    /// See [`Settings::account_level`].
    pub account_level: AccountLevel,
    /// Cost of computing clusters, in members and links, above which a root is throttled. Not a setting; tests make it small.
    pub rest_after: u64,
    /// Most bytes in a part of a component. Not a setting; tests make it small.
    pub part_bytes_max: usize,
}

impl Section for Settings {
    const NAME: &'static str = "identity";
    const SHAPE: Shape = Shape {
        open: &[OpenMap { path: "limits", dotted: false }, OpenMap { path: "reentry_after_days", dotted: false }],
        moved: &[("custom_kinds", "kinds.identifiers")],
        ..Shape::CLOSED
    };
    type Compiled = Rules;

    fn compile(&self, given: &Given<'_>, problems: &mut Problems) -> Option<Rules> {
        const AT_LEAST_ONE: &str = "expected 1 or more";
        const UNKNOWN: &str = "names a kind of identifier that there is not; declare it in kinds.identifiers";
        for (kind, limit) in &self.limits {
            let key = format!("limits.{kind}");
            problems.unless(*limit > 0, &key, AT_LEAST_ONE);
            problems.unless(given.kinds.rank(kind).is_some(), &key, UNKNOWN);
        }
        // The message does not repeat the value, which may be a secret in the wrong place.
        problems.unless(self.merged_kinds.iter().all(|kind| given.kinds.rank(kind).is_some()), "merged_kinds", UNKNOWN);
        problems.unless(self.default_limit > 0, "default_limit", AT_LEAST_ONE);
        problems.unless(self.public_cluster > 0, "public_cluster", AT_LEAST_ONE);
        problems.unless(self.anonymous_cluster > 0, "anonymous_cluster", AT_LEAST_ONE);
        problems.unless(self.public_leaves > 0, "public_leaves", AT_LEAST_ONE);
        problems.unless(self.account_people <= 1_000, "account_people", "expected 0 to 1000");
        let mut reentry_after_days = BTreeMap::new();
        for (name, days) in &self.reentry_after_days {
            let key = format!("reentry_after_days.{name}");
            problems.unless((1..=36_500).contains(days), &key, "expected 1 to 36500 days");
            let kind = given.kinds.milestone(name);
            problems.unless(kind.is_some(), &key, &given.kinds.no_milestone());
            reentry_after_days.extend(kind.map(|kind| (kind.to_owned(), *days)));
        }
        let currency = Currency::from_code(&self.currency);
        let currency = problems.check(currency, "currency", "must be an ISO 4217 code such as \"CNY\"")?;
        Some(Rules {
            kinds: given.kinds.clone(),
            limits: self.limits.clone(),
            default_limit: self.default_limit,
            merged_kinds: self.merged_kinds.clone(),
            declared_free: self.free_mail.iter().map(|domain| domain.to_lowercase()).collect(),
            reentry_after_days,
            currency,
            shared_after: self.shared_after,
            shared_any: self.shared_any,
            max_cluster: self.max_cluster as usize,
            public_cluster: self.public_cluster as usize,
            anonymous_cluster: self.anonymous_cluster as usize,
            public_leaves: self.public_leaves as usize,
            public_joins: self.public_joins,
            membership: self.membership,
            account_people: self.account_people as usize,
            digest: self.digest(given.kinds),
            account_level: self.account_level,
            rest_after: REST_AFTER,
            part_bytes_max: PART_BYTES_MAX,
        })
    }
}

impl Settings {
    /// See [`Rules::digest`].
    fn digest(&self, kinds: &Kinds) -> u64 {
        let kinds = kinds.custom_identifiers();
        tributary_runtime::generation::digest(&format!("{self:?};{kinds:?};{}", free_mail::digest()))
    }
}

impl Rules {
    /// Milliseconds after a report of a milestone of this kind from which another one is a re-entry; `None` if there are no re-entries.
    pub fn reentry_ms(&self, kind: &str) -> Option<i64> {
        self.reentry_after_days.get(kind).map(|days| i64::from(*days) * 86_400_000)
    }

    /// Whether this many public-only identifiers are too many to be connected. If so, more of them are, too.
    pub fn is_too_large(&self, identifiers: usize, anonymous: usize) -> bool {
        identifiers > self.public_cluster.min(self.max_cluster) || anonymous > self.anonymous_cluster
    }

    /// The kinds of identifiers in force.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// How many identifiers of this kind (and scope) one profile may have. Domains and company names have no limit: an account may own
    /// many.
    pub fn limit(&self, kind: &str) -> u32 {
        match self.limits.get(kind) {
            Some(limit) => *limit,
            None if [kind::DOMAIN, kind::COMPANY_NAME].contains(&kind) => u32::MAX,
            None => self.default_limit,
        }
    }

    /// Whether an explicit link between these two states that their system has merged two records.
    pub fn is_merge(&self, a: &Identifier, b: &Identifier) -> bool {
        (&a.kind, &a.scope) == (&b.kind, &b.scope) && self.merged_kinds.contains(a.kind.as_str())
    }

    /// Whether a link to `other` counts as a sign that the identifier is shared.
    pub fn is_strong(&self, of: &Identifier, other: &Identifier) -> bool {
        self.limit(&other.kind) == 1 && !self.is_merge(of, other)
    }

    /// The class of a link between two kinds: the weaker of their ranks. Lower is stronger.
    pub fn class(&self, a: &str, b: &str) -> i64 {
        let rank = |kind: &str| self.kinds.rank(kind).map_or(i64::MAX, i64::from);
        rank(a).max(rank(b))
    }

    /// The account that a corporate email address implies; `None` for a free-mail address.
    pub fn corporate_domain(&self, identifier: &Identifier) -> Option<Identifier> {
        if identifier.kind != "email" {
            return None;
        }
        let (_, domain) = identifier.value.rsplit_once('@')?;
        (!domain.is_empty() && !self.is_free_mail(domain)).then(|| Identifier::new(kind::DOMAIN, "", domain))
    }

    /// The domain of an address that the configuration or the third-party list, but not our own, calls free mail. Under other settings or
    /// an earlier version it may have implied an account.
    pub fn declared_free(&self, identifier: &Identifier) -> Option<Identifier> {
        let (_, domain) = identifier.value.rsplit_once('@').filter(|_| identifier.kind == "email")?;
        let may_have_spoken = self.declared_free.contains(domain) || free_mail::is_listed(domain);
        may_have_spoken.then(|| Identifier::new(kind::DOMAIN, "", domain))
    }

    fn is_free_mail(&self, domain: &str) -> bool {
        free_mail::is_known(domain) || free_mail::is_listed(domain) || self.declared_free.contains(domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_design() {
        let rules = Settings::default().compiled(&Kinds::default()).unwrap();
        assert_eq!((rules.limit("crm_contact"), rules.limit("user_id"), rules.limit("email")), (1, 1, 5));
        assert_eq!((rules.limit("crm_account"), rules.limit("domain")), (1, u32::MAX));
        assert_eq!(rules.class("email", "anonymous_id"), rules.class("anonymous_id", "phone"));
        assert!(rules.class("crm_contact", "email") < rules.class("email", "phone"));
    }

    #[test]
    fn every_error_is_reported() {
        let settings = Settings {
            limits: [("fax".to_owned(), 0)].into(),
            merged_kinds: ["telex".to_owned()].into(),
            default_limit: 0,
            reentry_after_days: [("mql".to_owned(), 0), ("won".to_owned(), 90)].into(),
            ..Settings::default()
        };
        assert_eq!(settings.compiled(&Kinds::default()).unwrap_err().0.len(), 6);
    }

    #[test]
    fn free_mail_names_no_account() {
        let rules =
            Settings { free_mail: vec!["Mail.Example".into()], ..Settings::default() }.compiled(&Kinds::default()).unwrap();
        let domain = |address: &str| rules.corporate_domain(&Identifier::new("email", "", address)).map(|found| found.value);
        assert_eq!(domain("li@b-corp.example"), Some("b-corp.example".into()));
        assert_eq!((domain("li@qq.com"), domain("li@abv.bg")), (None, None));
        assert_eq!(domain("li@mail.example"), None);
        assert_eq!(rules.corporate_domain(&Identifier::new("phone", "", "+86@x.example")), None);
    }
}
