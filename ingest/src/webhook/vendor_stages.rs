//! What the stages mean that CRMs come with.

use serde::{Deserialize, Serialize};

use super::stages::Stages;

/// What HubSpot's stages mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubSpotSettings {
    /// Lifecycle stages of contacts.
    pub contacts: Stages,
    /// Stages of deals.
    pub deals: Stages,
}

impl Default for HubSpotSettings {
    fn default() -> Self {
        Self {
            contacts: Stages::of("", [("lead", "lead"), ("marketingqualifiedlead", "mql"), ("salesqualifiedlead", "sal")]),
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

/// What Salesforce's stages mean.
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
            leads: Stages::of("lead", [("Working - Contacted", "mql"), ("Closed - Converted", "sal")]),
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
