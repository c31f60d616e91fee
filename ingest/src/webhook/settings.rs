//! Settings of webhooks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tributary_proto::kind::Kinds;
use tributary_runtime::config::Problems;

use super::vendor_stages::LADDERS;

pub use super::mapping::settings::{EventMapping, FieldMapping, Source, TextForm};
pub use super::vendor_stages::{HubSpotSettings, SalesforceSettings, Stages};

/// Settings of providers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// Regular expressions for the scenes of WeChat's QR codes and the states of WeCom's; the first that matches counts. A group named like
    /// a kind of identifier adds that identifier; groups `campaign`, `content` and `term` fill the touch.
    pub scene_patterns: Vec<String>,
    /// The effect of unsubscribing from an official account.
    pub wechat_unsubscribe: Leaving,
    /// The effect of a customer deleting a member of staff in WeCom.
    pub wecom_unfollow: Leaving,
    /// The open platform of each WeChat account, by its original id (`gh_...`): the scope of UnionIDs in its pushes.
    pub wechat_open_platforms: BTreeMap<String, String>,
    /// The scope of external user ids by corp id (of a suite: `corp/suite`), if it is another than that id.
    pub wecom_scopes: BTreeMap<String, String>,
    /// The meaning of HubSpot's stages.
    pub hubspot: HubSpotSettings,
    /// The meaning of Salesforce's stages.
    pub salesforce: SalesforceSettings,
    /// Mappings of other providers: by provider, then by name of the sort of event.
    pub mappings: BTreeMap<String, BTreeMap<String, EventMapping>>,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            scene_patterns: vec!["^aid_(?<anonymous_id>.+)$".into()],
            wechat_unsubscribe: Leaving::Ignore,
            wecom_unfollow: Leaving::Ignore,
            wechat_open_platforms: BTreeMap::new(),
            wecom_scopes: BTreeMap::new(),
            hubspot: HubSpotSettings::default(),
            salesforce: SalesforceSettings::default(),
            mappings: BTreeMap::new(),
        }
    }
}

impl WebhookSettings {
    /// Replaces the kinds of milestones of CRM stages by their canonical names, and reports unknown ones.
    pub(crate) fn settle_kinds(&mut self, kinds: &Kinds, problems: &mut Problems) {
        let (hubspot, salesforce) = (&mut self.hubspot, &mut self.salesforce);
        let all = [&mut hubspot.contacts, &mut hubspot.deals, &mut salesforce.leads, &mut salesforce.opportunities];
        for (place, Stages { created, stages }) in LADDERS.into_iter().zip(all) {
            let stages = stages.iter_mut().map(|(stage, kind)| (format!("{place}.stages.{stage}"), kind));
            for (at, kind) in stages.chain([(format!("{place}.created"), created)]).filter(|(_, kind)| !kind.is_empty()) {
                match kinds.milestone(kind) {
                    Some(known) => known.clone_into(kind),
                    None => problems.at(at, kinds.no_milestone()),
                }
            }
        }
    }
}

/// The effect of somebody leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// None.
    Ignore,
    /// Consent is revoked; subscribing or adding again grants it again.
    #[serde(alias = "revoke_until_return")]
    Revoke,
    /// An erasure: everything before it under this identifier is void.
    Erase,
}
