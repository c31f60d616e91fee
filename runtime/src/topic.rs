//! The topics by their role, each in one row of a table. Their names are configurable; their roles are not.

pub mod format;
pub mod framing;
pub mod schema;

use std::collections::BTreeMap;

use tributary_proto::{
    Account, AttributorMessage, CreditUpdate, DeadLetter, ErasureRequest, Generation, IdentityMessage, MilestoneRow, Profile,
    Spend, TouchpointRow,
};

use format::{FormatError, Row, Rows, shown};

/// Everything about a topic except its messages' fields.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The role's name: the key of its settings, a metric label, and the default topic name after the prefix.
    pub name: &'static str,
    /// Its number in the keys of the embedded log. Part of the stored format: never change or reuse one.
    pub number: u8,
    /// Its purpose.
    pub role: Role,
    /// Which records are kept.
    pub cleanup: Cleanup,
    /// The stages that write to it; empty for topics that others write, and for changelogs, which sessions write.
    pub written_by: &'static [&'static str],
    /// The kind of its records.
    pub content: Content,
}

/// The purpose of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Raw input, from any producer.
    Raw,
    /// Input of a stage.
    Inbox {
        /// The stage.
        of: &'static str,
    },
    /// Output for readers.
    Output,
    /// Refused records.
    DeadLetters,
    /// The generations of the stages' settings.
    Plans,
    /// The state of a stage.
    Changelog {
        /// The stage.
        of: &'static str,
    },
}

/// Which records of a topic are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// All, for a limited time.
    Kept(Retention),
    /// The latest of each key.
    Compacted,
}

/// The setting for how long records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// `topics.raw_retention_days`.
    Raw,
    /// `topics.inbox_retention_days`.
    Inbox,
    /// `topics.credits_retention_days`.
    Credits,
    /// `topics.dead_letters_retention_days`.
    DeadLetters,
}

/// The kind of a topic's records.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// Text, as received.
    Texts,
    /// Messages between stages, with a function that shows one to people.
    Messages(fn(&[u8]) -> Result<String, FormatError>),
    /// Rows for readers, as Protobuf or JSON.
    Rows(Rows),
    /// Entries of a stage's state.
    State,
}

/// Generates [`Topic`] from the table, with the message and the key of each topic's rows.
macro_rules! topics {
    ($($(#[$doc:meta])* $topic:ident { $($spec:tt)* } holds [$($content:tt)*];)*) => {
        /// A topic's role.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Topic { $($(#[$doc])* $topic,)* }

        impl Topic {
            /// Every topic, in the order of the data path.
            pub const ALL: [Self; [$(stringify!($topic)),*].len()] = [$(Self::$topic),*];

            /// Its row in the table.
            pub const fn spec(self) -> &'static Spec {
                match self {
                    $(Self::$topic => const { &Spec { $($spec)*, content: topics!(@content $($content)*) } },)*
                }
            }
        }

        $(topics!(@row $topic $($content)*);)*
    };
    (@content texts) => { Content::Texts };
    (@content state) => { Content::State };
    (@content messages $message:ident) => { Content::Messages(shown::<$message>) };
    (@content $message:ident by $key:ident $(or $erased:ident)?) => { Content::Rows(Rows::of::<$message>()) };
    (@row $topic:ident $message:ident by $key:ident $(or $erased:ident)?) => {
        impl Row for $message {
            const TOPIC: Topic = Topic::$topic;

            fn key(&self) -> &[u8] {
                self.$key.as_ref()
            }

            $(fn is_last(&self) -> bool {
                self.$erased
            })?
        }
    };
    (@row $($other:tt)*) => {};
}

// `holds [MESSAGE by KEY or FIELD]`: rows of that message with that key; a row with FIELD set is followed by a tombstone.
topics! {
    /// Raw input: messages of the Segment specification.
    Sdk { name: "sdk", number: 1, role: Role::Raw, cleanup: Cleanup::Kept(Retention::Raw), written_by: &[] } holds [texts];
    /// Raw input: landing hits.
    Utm { name: "utm", number: 2, role: Role::Raw, cleanup: Cleanup::Kept(Retention::Raw), written_by: &[] } holds [texts];
    /// Raw input: pushes of providers.
    Webhook { name: "webhook", number: 3, role: Role::Raw, cleanup: Cleanup::Kept(Retention::Raw), written_by: &[] } holds [texts];
    /// Raw input: imported rows.
    Offline { name: "offline", number: 4, role: Role::Raw, cleanup: Cleanup::Kept(Retention::Raw), written_by: &[] } holds [texts];
    /// Events and messages for identifiers and milestones.
    IdentityInbox {
        name: "identity-inbox",
        number: 5,
        role: Role::Inbox { of: "identity" },
        cleanup: Cleanup::Kept(Retention::Inbox),
        written_by: &["ingest", "identity"]
    } holds [messages IdentityMessage];
    /// Messages for units and ledgers.
    AttributorInbox {
        name: "attributor-inbox",
        number: 6,
        role: Role::Inbox { of: "attributor" },
        cleanup: Cleanup::Kept(Retention::Inbox),
        written_by: &["identity", "attributor"]
    } holds [messages AttributorMessage];
    /// Credit updates.
    Credits {
        name: "credits",
        number: 7,
        role: Role::Output,
        cleanup: Cleanup::Kept(Retention::Credits),
        written_by: &["attributor"]
    } holds [CreditUpdate by milestone_id];
    /// Touches, each with its owner.
    Touchpoints {
        name: "touchpoints",
        number: 15,
        role: Role::Output,
        cleanup: Cleanup::Compacted,
        written_by: &["attributor"]
    } holds [TouchpointRow by touchpoint_id or erased];
    /// Milestones.
    Milestones {
        name: "milestones",
        number: 16,
        role: Role::Output,
        cleanup: Cleanup::Compacted,
        written_by: &["attributor"]
    } holds [MilestoneRow by milestone_id or erased];
    /// Profiles.
    Profiles { name: "profiles", number: 8, role: Role::Output, cleanup: Cleanup::Compacted, written_by: &["identity"] }
        holds [Profile by profile_id or erased];
    /// Accounts.
    Accounts { name: "accounts", number: 9, role: Role::Output, cleanup: Cleanup::Compacted, written_by: &["identity"] }
        holds [Account by account_id or erased];
    /// Costs of channels and campaigns.
    Spend { name: "spend", number: 13, role: Role::Output, cleanup: Cleanup::Compacted, written_by: &["ingest"] }
        holds [Spend by spend_id];
    /// Requests to erase a person with all identifiers joined at that time.
    ErasureRequests {
        name: "erasure-requests",
        number: 14,
        role: Role::Output,
        cleanup: Cleanup::Compacted,
        written_by: &["identity"]
    } holds [ErasureRequest by request_id];
    /// Records that could not be processed.
    DeadLetters {
        name: "dead-letters",
        number: 10,
        role: Role::DeadLetters,
        cleanup: Cleanup::Kept(Retention::DeadLetters),
        written_by: &["ingest", "identity", "attributor"]
    } holds [DeadLetter by key];
    /// The generations of settings, by stage.
    Plans { name: "plans", number: 20, role: Role::Plans, cleanup: Cleanup::Compacted, written_by: &[] }
        holds [messages Generation];
    /// State of the identity stage.
    IdentityChangelog {
        name: "identity-changelog",
        number: 11,
        role: Role::Changelog { of: "identity" },
        cleanup: Cleanup::Compacted,
        written_by: &[]
    } holds [state];
    /// State of the attributor stage.
    AttributorChangelog {
        name: "attributor-changelog",
        number: 12,
        role: Role::Changelog { of: "attributor" },
        cleanup: Cleanup::Compacted,
        written_by: &[]
    } holds [state];
}

impl Topic {
    /// The raw inputs.
    pub const RAW: [Self; 4] = [Self::Sdk, Self::Utm, Self::Webhook, Self::Offline];

    /// See [`Spec::name`].
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// Whether only the latest record of a key is kept.
    pub const fn compacted(self) -> bool {
        matches!(self.spec().cleanup, Cleanup::Compacted)
    }

    /// Functions for its rows; `None` for a topic without rows for readers.
    pub const fn rows(self) -> Option<&'static Rows> {
        match &self.spec().content {
            Content::Rows(rows) => Some(rows),
            Content::Texts | Content::Messages(_) | Content::State => None,
        }
    }

    /// The topics with rows for readers: the outputs and the dead letters.
    pub fn public() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|topic| topic.rows().is_some())
    }

    /// The inboxes, each with the name of the stage that reads it.
    pub fn inboxes() -> impl Iterator<Item = (Self, &'static str)> {
        Self::ALL.into_iter().filter_map(|topic| match topic.spec().role {
            Role::Inbox { of } => Some((topic, of)),
            _ => None,
        })
    }

    /// The topic with this role.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// The topics' names, by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicNames(BTreeMap<Topic, String>);

impl TopicNames {
    /// The default names: prefix, a dot, role; only the role if the prefix is empty.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_numbers_are_each_topics_own() {
        let names: BTreeSet<&str> = Topic::ALL.map(Topic::name).into();
        let numbers: BTreeSet<u8> = Topic::ALL.map(|topic| topic.spec().number).into();
        assert_eq!((names.len(), numbers.len()), (Topic::ALL.len(), Topic::ALL.len()));
        assert!(!numbers.contains(&0));
    }

    #[test]
    fn a_role_gives_retention_and_writers() {
        for topic in Topic::ALL {
            let Spec { role, cleanup, written_by, content, .. } = topic.spec();
            match role {
                Role::Raw => {
                    assert!(Topic::RAW.contains(&topic) && matches!(content, Content::Texts));
                    assert!(written_by.is_empty() && *cleanup == Cleanup::Kept(Retention::Raw), "{topic:?}");
                }
                Role::Inbox { of } => {
                    assert!(written_by.contains(of) && matches!(content, Content::Messages(_)), "{topic:?}");
                    let state = |topic: &Topic| topic.spec().role == Role::Changelog { of };
                    assert!(Topic::ALL.iter().any(state), "{topic:?}: the stage's state is in a changelog");
                }
                Role::Output | Role::DeadLetters => {
                    assert!(matches!(content, Content::Rows(_)) && !written_by.is_empty(), "{topic:?}");
                }
                Role::Plans => assert!(topic.compacted() && matches!(content, Content::Messages(_)), "{topic:?}"),
                Role::Changelog { .. } => {
                    assert!(matches!(content, Content::State) && topic.compacted() && written_by.is_empty(), "{topic:?}");
                }
            }
        }
    }
}
