//! Settings of ingest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::channel::{Rule, Site};
pub use crate::receipt::TrustSettings;
use crate::webhook::settings::WebhookSettings;

/// Settings of ingest. Compile them with [`Decoder::new`](crate::Decoder::new), which reports all errors together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// IANA zone of times without one, for example in imported files.
    pub time_zone: String,
    /// Region of phone numbers without a country code: ISO 3166-1 alpha-2.
    pub phone_region: String,
    /// Currency of amounts without one: ISO 4217.
    pub currency: String,
    /// Values that are never identifiers, beside the built-in ones (`null`, `anonymous`, ...); compared without case.
    pub blocked_values: Vec<String>,
    /// The operator's own domains, with their subdomains: they do not count as referrers.
    pub own_sites: Vec<String>,
    /// Words in user agents of bots, in addition to the built-in ones; compared without case.
    pub bot_agents: Vec<String>,
    /// Traits of people that contain the name of their company: an account of last resort, if no other is named. Empty: none.
    pub company_names: Vec<String>,
    /// Names of `track` events that are touches.
    pub touch_events: Vec<String>,
    /// Names of `track` events that are milestones, with the kind of milestone.
    pub milestone_events: BTreeMap<String, String>,
    /// The appid of each WeChat account, by its original id (`ToUserName`, `gh_...`): the scope of its OpenIDs.
    pub wechat_appids: BTreeMap<String, String>,
    /// Names of the operator's own dimensions: `dimensions.NAME` of touches, milestones and spend.
    pub dimensions: Vec<String>,
    /// How far an event's time may be after its receive time, hours.
    pub max_future_skew_hours: u32,
    /// The trust of records without a trust field, by raw topic.
    pub trust: TrustSettings,
    /// How far before its receipt a public event may have happened, hours.
    pub public_age_hours: u32,
    /// Kinds of milestones that public events may report, in addition to those of `milestone_events`.
    pub public_milestones: Vec<String>,
    /// Kinds of milestones whose value, currency and withdrawal public events may state, too.
    pub public_values: Vec<String>,
    /// A file of channel rules, sites, parameters and click ids that come before the built-in ones, in the form of
    /// `ingest/rules/channels.toml`. Empty: none.
    pub channels_file: String,
    /// Channel rules that come before those of the file.
    pub channel_rules: Vec<Rule>,
    /// Sites that come before those of the file.
    pub sites: Vec<Site>,
    /// The meaning of webhook pushes.
    pub webhook: WebhookSettings,
}

impl Default for Settings {
    fn default() -> Self {
        let touch_events =
            ["Form Submitted", "Trial Requested", "Demo Requested", "Content Downloaded", "Webinar Attended", "Signed Up"];
        Self {
            time_zone: "Asia/Shanghai".into(),
            phone_region: "CN".into(),
            currency: "CNY".into(),
            blocked_values: Vec::new(),
            own_sites: Vec::new(),
            bot_agents: Vec::new(),
            company_names: Vec::new(),
            touch_events: touch_events.map(str::to_owned).to_vec(),
            milestone_events: BTreeMap::new(),
            wechat_appids: BTreeMap::new(),
            dimensions: Vec::new(),
            max_future_skew_hours: 24,
            trust: TrustSettings::default(),
            public_age_hours: 48,
            public_milestones: Vec::new(),
            public_values: Vec::new(),
            channels_file: String::new(),
            channel_rules: Vec::new(),
            sites: Vec::new(),
            webhook: WebhookSettings::default(),
        }
    }
}
