//! The topics by their role. Their names are configurable; their roles are not.

use std::collections::BTreeMap;

/// A topic's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Raw input: messages of the Segment specification.
    Sdk,
    /// Raw input: landing hits.
    Utm,
    /// Raw input: pushes of providers.
    Webhook,
    /// Raw input: imported rows.
    Offline,
    /// Events and messages for identifiers and milestones.
    IdentityInbox,
    /// Items and messages for units and ledgers.
    AttributorInbox,
    /// Credit updates.
    Credits,
    /// Profiles, compacted.
    Profiles,
    /// Accounts, compacted.
    Accounts,
    /// What was spent on channels and campaigns, compacted.
    Spend,
    /// Records that could not be processed.
    DeadLetters,
    /// State of the identity stage, compacted.
    IdentityChangelog,
    /// State of the attributor stage, compacted.
    AttributorChangelog,
}

impl Topic {
    /// Every topic, in the order of the data path.
    pub const ALL: [Self; 13] = [
        Self::Sdk,
        Self::Utm,
        Self::Webhook,
        Self::Offline,
        Self::IdentityInbox,
        Self::AttributorInbox,
        Self::Credits,
        Self::Profiles,
        Self::Accounts,
        Self::Spend,
        Self::DeadLetters,
        Self::IdentityChangelog,
        Self::AttributorChangelog,
    ];

    /// The raw inputs.
    pub const RAW: [Self; 4] = [Self::Sdk, Self::Utm, Self::Webhook, Self::Offline];

    /// The role's name: the key of its settings, a metric label, and the default topic name behind the prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sdk => "sdk",
            Self::Utm => "utm",
            Self::Webhook => "webhook",
            Self::Offline => "offline",
            Self::IdentityInbox => "identity-inbox",
            Self::AttributorInbox => "attributor-inbox",
            Self::Credits => "credits",
            Self::Profiles => "profiles",
            Self::Accounts => "accounts",
            Self::Spend => "spend",
            Self::DeadLetters => "dead-letters",
            Self::IdentityChangelog => "identity-changelog",
            Self::AttributorChangelog => "attributor-changelog",
        }
    }

    /// Whether only the latest record of a key is kept.
    pub const fn compacted(self) -> bool {
        matches!(self, Self::Profiles | Self::Accounts | Self::Spend | Self::IdentityChangelog | Self::AttributorChangelog)
    }
}

/// The topics' names, by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicNames(BTreeMap<Topic, String>);

impl TopicNames {
    /// The default names: prefix, a dot, role; only the role where the prefix is empty.
    pub fn with_prefix(prefix: &str) -> Self {
        let name = |role: &str| if prefix.is_empty() { role.to_owned() } else { format!("{prefix}.{role}") };
        Self(Topic::ALL.into_iter().map(|topic| (topic, name(topic.name()))).collect())
    }

    /// Gives a topic another name.
    pub fn set(&mut self, topic: Topic, name: impl Into<String>) {
        self.0.insert(topic, name.into());
    }

    /// The name of a topic.
    pub fn of(&self, topic: Topic) -> &str {
        self.0.get(&topic).map_or(topic.name(), String::as_str)
    }

    /// The topic with this name.
    pub fn find(&self, name: &str) -> Option<Topic> {
        self.0.iter().find(|(_, known)| *known == name).map(|(topic, _)| *topic)
    }
}

impl Default for TopicNames {
    fn default() -> Self {
        Self::with_prefix("tributary")
    }
}
