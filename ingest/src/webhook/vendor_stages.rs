//! The meaning of the stages of CRMs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The milestones of an object's stages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stages {
    /// The kind of milestone that its creation reaches; empty for none.
    pub created: String,
    /// By the vendor's id of a stage, the kind of milestone that it reaches; empty for none. A stage that is not listed changes nothing.
    pub stages: BTreeMap<String, String>,
}

impl Stages {
    /// By the vendor's ids.
    pub(super) fn of<const N: usize>(created: &str, stages: [(&str, &str); N]) -> Self {
        let stages = stages.map(|(stage, kind)| (stage.to_owned(), kind.to_owned()));
        Self { created: created.to_owned(), stages: stages.into() }
    }

    /// Every kind that an object can reach.
    pub(super) fn kinds(&self) -> BTreeSet<&str> {
        let all = self.stages.values().map(String::as_str).chain([self.created.as_str()]);
        all.filter(|kind| !kind.is_empty()).collect()
    }
}

/// The stages of a CRM object, with their setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ladder<'a> {
    /// Below `ingest.webhook`.
    pub(super) setting: &'static str,
    pub(super) stages: &'a Stages,
}

/// The settings of all ladders, below `ingest.webhook`.
pub(crate) const LADDERS: [&str; 4] = ["hubspot.contacts", "hubspot.deals", "salesforce.leads", "salesforce.opportunities"];

impl HubSpotSettings {
    pub(super) fn of_contacts(&self) -> Ladder<'_> {
        Ladder { setting: LADDERS[0], stages: &self.contacts }
    }

    pub(super) fn of_deals(&self) -> Ladder<'_> {
        Ladder { setting: LADDERS[1], stages: &self.deals }
    }
}

impl SalesforceSettings {
    pub(super) fn of_leads(&self) -> Ladder<'_> {
        Ladder { setting: LADDERS[2], stages: &self.leads }
    }

    pub(super) fn of_opportunities(&self) -> Ladder<'_> {
        Ladder { setting: LADDERS[3], stages: &self.opportunities }
    }
}

/// The meaning of HubSpot's stages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubSpotSettings {
    /// Lifecycle stages of contacts.
    pub contacts: Stages,
    /// Stages of deals.
    pub deals: Stages,
    /// By type id of a label on the association of a contact with a deal, the role it stands for.
    pub association_labels: BTreeMap<String, String>,
}

impl Default for HubSpotSettings {
    fn default() -> Self {
        Self {
            association_labels: BTreeMap::new(),
            contacts: Stages::of(
                "",
                [
                    ("subscriber", ""),
                    ("lead", "lead"),
                    ("marketingqualifiedlead", "mql"),
                    ("salesqualifiedlead", "sal"),
                    ("opportunity", ""),
                    ("customer", ""),
                    ("evangelist", ""),
                    ("other", ""),
                ],
            ),
            deals: Stages::of(
                "opportunity",
                [
                    ("appointmentscheduled", "meeting"),
                    ("qualifiedtobuy", "opportunity"),
                    ("presentationscheduled", "evaluation"),
                    ("decisionmakerboughtin", "proposal"),
                    ("contractsent", "negotiation"),
                    ("closedwon", "closed_won"),
                    ("closedlost", "closed_lost"),
                ],
            ),
        }
    }
}

/// The meaning of Salesforce's stages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SalesforceSettings {
    /// Statuses of leads.
    pub leads: Stages,
    /// Stages of opportunities.
    pub opportunities: Stages,
}

impl Default for SalesforceSettings {
    fn default() -> Self {
        Self {
            leads: Stages::of(
                "lead",
                [
                    ("Open - Not Contacted", ""),
                    ("Working - Contacted", "mql"),
                    ("Closed - Converted", "sal"),
                    ("Closed - Not Converted", ""),
                ],
            ),
            opportunities: Stages::of(
                "opportunity",
                [
                    ("Prospecting", "opportunity"),
                    ("Qualification", "opportunity"),
                    ("Needs Analysis", "evaluation"),
                    ("Value Proposition", "evaluation"),
                    ("Id. Decision Makers", "evaluation"),
                    ("Perception Analysis", "evaluation"),
                    ("Proposal/Price Quote", "proposal"),
                    ("Negotiation/Review", "negotiation"),
                    ("Closed Won", "closed_won"),
                    ("Closed Lost", "closed_lost"),
                ],
            ),
        }
    }
}
