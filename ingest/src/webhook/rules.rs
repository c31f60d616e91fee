//! The compiled settings of webhooks.

use std::collections::BTreeMap;

use tributary_proto::kind::Kinds;
use tributary_runtime::config::Problems;

use super::mapping::compiled::Mappings;
use super::scene::Scenes;
use super::settings::WebhookSettings;
use crate::normalise::IdentifierRules;

/// How pushes of providers are read.
#[derive(Debug)]
pub(crate) struct WebhookRules {
    pub(super) settings: WebhookSettings,
    pub(super) wechat_appids: BTreeMap<String, String>,
    pub(super) scenes: Scenes,
    pub(super) mappings: Mappings,
}

impl WebhookRules {
    /// Compiles settings.
    pub(crate) fn new(
        settings: &WebhookSettings,
        wechat_appids: &BTreeMap<String, String>,
        identifiers: &IdentifierRules,
        kinds: &Kinds,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut settings = settings.clone();
        settings.settle_kinds(kinds, problems);
        let scenes = Scenes::new(&settings.scene_patterns, identifiers)
            .map_err(|wrong| wrong.into_iter().for_each(|(at, what)| problems.at(format!("scene_patterns[{at}]"), what)));
        let mappings = Mappings::new(&settings, identifiers, kinds, problems);
        Some(Self { settings, wechat_appids: wechat_appids.clone(), scenes: scenes.ok()?, mappings })
    }
}
