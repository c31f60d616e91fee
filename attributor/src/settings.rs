//! The settings as written by an operator. [`crate::plan::Plan::compile`] checks and compiles them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
pub use tributary_learn::parameters::Label;
use tributary_runtime::config::{AccountLevel, Given, Problems, Section};

/// The attributor's settings.
///
/// ```
/// let settings: tributary_attributor::settings::Settings = toml::from_str(r#"
///     window = { lookback_days = 365 }
///     session_gap_minutes = 30
///
///     [[models]]
///     name = "half_lead"
///     type = "staged"
///     anchors = [{ at = "first", percent = 40 }, { at = "lead", percent = 40 }]
///     middle = 20
///     multipliers.role.decision_maker = 2
///
///     [[models]]
///     name = "linear"
///     type = "linear"
///
///     [milestones.poc_passed]
///     models = ["linear"]
/// "#).unwrap();
/// let kinds = tributary_proto::kind::Kinds::new(Vec::new(), vec!["poc_passed".into()]);
/// let plan = tributary_attributor::plan::Plan::compile(&settings, &kinds).unwrap();
/// assert_eq!(plan.models_of("poc_passed").count(), 1);
/// assert_eq!(plan.models_of("closed_won").count(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How far back from a milestone its journey reaches: `{ lookback_days = 540 }`; `"lifecycle"` for everything since the deal that the
    /// unit won before, but no further than the horizon; or `{ calendar = "quarter" }` (`month`, `year`) since that period began.
    pub window: Window,
    /// A milestone that is more than this many days older than the newest touch of anybody in its unit need not find all its touches any
    /// more: see [`crate::unit`]. 1 to 36,500, and at least the longest look-back.
    pub horizon_days: u32,
    /// Longest pause in a visit, minutes: digital touches of one profile on one device, each at most this long after the one before, count
    /// as one touch, unless one names another source than the visit has. 0 to 1,440; 0: every touch counts by itself.
    pub session_gap_minutes: u32,
    /// Touch types by rank: the hit of a visit whose type comes first here gives the visit its type and content. Case is ignored. Other
    /// types come after these; `page`, `screen` and none come last. Of several hits of the same type the first counts.
    pub touch_types: Vec<String>,
    /// The most touches of a journey, 10 to 100,000. A longer one keeps its first, those that a model singles out, and its newest.
    pub max_journey: u32,
    /// Whose touches count for a deal: those of everybody in the `account`, or only of those `named` as its contacts, if it names any.
    pub contacts: Contacts,
    /// Whose touches and milestones form one journey: those of each `account`, or of all accounts under one `root`.
    pub account_level: AccountLevel,
    /// The models, each with its own name. A given list replaces the default one.
    pub models: Vec<ModelSettings>,
    /// Settings for single kinds of milestones.
    pub milestones: BTreeMap<String, KindSettings>,
    /// The parameter sets of models that learn, by name: files written by `tributary fit`.
    pub parameters: BTreeMap<String, String>,
    /// The section `[currency]`. It is a section of its own in the configuration.
    #[serde(skip)]
    pub currency: CurrencySettings,
    /// The section `[outputs]`. It is a section of its own in the configuration.
    #[serde(skip)]
    pub outputs: OutputSettings,
}

/// `[outputs]`: which output topics are written beside `credits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputSettings {
    /// Whether every touch has a row in `touchpoints`.
    pub touchpoints: bool,
    /// Whether every milestone has a row in `milestones`.
    pub milestones: bool,
}

impl Default for OutputSettings {
    fn default() -> Self {
        Self { touchpoints: true, milestones: true }
    }
}

impl Section for OutputSettings {
    const NAME: &'static str = "outputs";
    type Compiled = ();

    fn compile(&self, _: &Given<'_>, _: &mut Problems) -> Option<()> {
        Some(())
    }
}

/// `[currency]`: the reporting currency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CurrencySettings {
    /// The reporting currency (ISO 4217), in which all credit is shown, too; none if empty.
    pub reporting: String,
    /// The file of rates: rows of `date,currency,rate`, the rate being units of the reporting currency for one unit of that currency.
    pub rates: String,
}

/// Whose touches count for a deal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contacts {
    /// Of everybody in the account.
    #[default]
    Account,
    /// Of those in the account whom the deal names as its contacts; of everybody if it names none of them.
    Named,
}

/// How far back a journey reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// This many days before the milestone, 1 to 36,500.
    LookbackDays(u32),
    /// Since the deal that the unit won before, or the horizon before the milestone, whichever is later.
    Lifecycle,
    /// Since the beginning of the milestone's month, quarter or year, in the zone `ingest.time_zone`.
    Calendar(Period),
}

/// A calendar period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From the first of the month.
    Month,
    /// From the first of January, April, July or October.
    Quarter,
    /// From the first of January.
    Year,
}

/// Settings for one kind of milestone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KindSettings {
    /// The names of the models computed for it; all if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Its window; the general one if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// A model: its name, its type, and the parameters of that type. Shares are percents and sum to 100.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// The name in credit updates: 1 to 64 of `a-z 0-9 _`.
    pub name: String,
    /// One of [`MODELS`](tributary_proto::vocabulary::MODELS), by any of its names. `custom` is the same as `staged`. Presets are
    /// `position` or `staged` with fixed shares: `u_shaped` 40/20/40, `j_shaped` 20/20/60, `inverse_j` 60/20/20, `w_shaped`, `full_path`.
    #[serde(rename = "type")]
    pub rule: String,
    /// `time_decay`: days in which credit halves, 0 to 36,500; default 30; 0 gives all to the last touch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub half_life_days: Option<f64>,
    /// `position`: percent of the first touch; default 40.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<f64>,
    /// `position`: percent of the touches between, default 20. `staged`: percent of the touches before the last anchor that hold none,
    /// default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle: Option<f64>,
    /// `position`: percent of the last touch; default 40.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<f64>,
    /// `staged`: the anchors, in the order of the stages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<AnchorSettings>,
    /// `time_weighted`: shape at the first touch, 0.01 to 10; default 0.5; below 1 raises that end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// `time_weighted`: shape at the milestone, 0.01 to 10; default 0.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
    /// `markov`, `shapley_rate`, `spm`, `blr`, `apriori`: the name of its parameter set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<String>,
    /// `shapley`: the field of touches that is the channel; default `channel`. For the other models their parameter set has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// Factors on the weights, which are normalised again afterwards.
    #[serde(skip_serializing_if = "MultiplierSettings::is_empty")]
    pub multipliers: MultiplierSettings,
    /// Percents that the touches of some channels get together, whatever their number, by channel or pattern: `{ sales = 30 }`. All others
    /// get the rest. The model runs on each side alone; the part of a side without touches goes to the others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub split: BTreeMap<String, f64>,
    /// A window of its own: it can only narrow that of the milestone's kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// An anchor of a staged model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorSettings {
    /// `first`, `last`, `close`, or a milestone kind: the last touch at or before that stage was reached.
    pub at: String,
    /// Its share.
    pub percent: f64,
}

/// Factors on a model's weights, 0 to 1,000, exact to the millionth; 1 for names not listed. Names may be patterns: `paid_*`. A name counts
/// before a pattern, a longer pattern before a shorter one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiplierSettings {
    /// By the role of the touch's person.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub role: BTreeMap<String, f64>,
    /// By channel.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub channel: BTreeMap<String, f64>,
    /// By touch type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub touch_type: BTreeMap<String, f64>,
    /// By source.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub source: BTreeMap<String, f64>,
    /// By campaign.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub campaign: BTreeMap<String, f64>,
    /// By the latest of these stages that was reached before the touch; `before`: before all of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stage: BTreeMap<String, f64>,
    /// Further factors for large deals: of these, the one with the highest `from` that the milestone's value reaches applies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deal_size: Vec<BandSettings>,
}

/// Factors for deals of at least a size.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandSettings {
    /// The least value, in major units.
    pub from: f64,
    /// The currency of the deals meant (ISO 4217). If left out: any, and `from` is compared with the number alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub currency: String,
    /// The factors. They cannot have sizes of their own.
    pub factors: MultiplierSettings,
}

impl MultiplierSettings {
    /// Whether there are no factors.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: Window::LookbackDays(540),
            horizon_days: 730,
            session_gap_minutes: 30,
            touch_types: TELLING.map(str::to_owned).to_vec(),
            max_journey: 2_000,
            contacts: Contacts::Account,
            account_level: AccountLevel::Account,
            models: default_models(),
            milestones: BTreeMap::new(),
            parameters: BTreeMap::new(),
            currency: CurrencySettings::default(),
            outputs: OutputSettings::default(),
        }
    }
}

/// The default of [`Settings::touch_types`]: requests first, then left addresses, then downloads.
const TELLING: [&str; 12] = [
    "demo",
    "Demo Requested",
    "trial",
    "Trial Requested",
    "form",
    "Form Submitted",
    "signup",
    "Signed Up",
    "webinar",
    "Webinar Attended",
    "download",
    "Content Downloaded",
];

/// The ten models computed by default for every milestone.
fn default_models() -> Vec<ModelSettings> {
    let plain = |name: &str| ModelSettings { name: name.to_owned(), rule: name.to_owned(), ..ModelSettings::default() };
    let staged = |name: &str, anchors: &[&str], percent: f64| ModelSettings {
        name: name.to_owned(),
        rule: "staged".to_owned(),
        anchors: anchors.iter().map(|at| AnchorSettings { at: (*at).to_owned(), percent }).collect(),
        middle: Some(10.0),
        ..ModelSettings::default()
    };
    vec![
        plain("first_touch"),
        plain("last_touch"),
        plain("last_non_direct"),
        plain("lead_conversion"),
        plain("linear"),
        ModelSettings { half_life_days: Some(30.0), ..plain("time_decay") },
        ModelSettings {
            rule: "position".to_owned(),
            first: Some(40.0),
            middle: Some(20.0),
            last: Some(40.0),
            ..plain("u_shaped")
        },
        staged("w_shaped", &["first", "lead", "opportunity"], 30.0),
        staged("full_path", &["first", "lead", "opportunity", "close"], 22.5),
        ModelSettings { alpha: Some(0.5), beta: Some(0.4), ..plain("time_weighted") },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_survive_being_written_and_read() {
        let text = toml::to_string(&Settings::default()).unwrap();
        assert_eq!(toml::from_str::<Settings>(&text).unwrap(), Settings::default());
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
        assert_eq!(toml::from_str::<Settings>("window = \"lifecycle\"").unwrap().window, Window::Lifecycle);
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(toml::from_str::<Settings>("sesion_gap_minutes = 3").is_err());
        assert!(toml::from_str::<Settings>("[[models]]\nhalflife = 3").is_err());
    }
}
