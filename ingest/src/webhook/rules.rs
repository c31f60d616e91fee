//! What is compiled of the webhooks' settings.

use std::collections::BTreeMap;

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
    ///
    /// # Errors
    /// What is wrong, by the setting below the webhook's.
    pub(crate) fn new(
        settings: &WebhookSettings,
        wechat_appids: &BTreeMap<String, String>,
        identifiers: &IdentifierRules,
        milestone_kinds: &[String],
    ) -> Result<Self, Vec<(String, String)>> {
        let mut problems = settings.problems(milestone_kinds);
        let scenes = Scenes::new(&settings.scene_patterns, identifiers)
            .map_err(|wrong| problems.extend(wrong.into_iter().map(|(at, what)| (format!("scene_patterns[{at}]"), what))));
        let mappings = Mappings::new(settings, identifiers, milestone_kinds).map_err(|wrong| problems.extend(wrong));
        match (scenes, mappings) {
            (Ok(scenes), Ok(mappings)) if problems.is_empty() => {
                Ok(Self { settings: settings.clone(), wechat_appids: wechat_appids.clone(), scenes, mappings })
            }
            _ => Err(problems),
        }
    }
}
