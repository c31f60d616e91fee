//! From settings to a plan, with all errors at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use tributary_proto::Hash128;
use tributary_proto::kind::Kinds;
use tributary_runtime::config::{Given, OpenMap, Problems, Section, Shape};

use super::model::{self, milestone};
use super::sets::Sets;
use super::{DAY_MS, DAYS_MAX, KindPlan, Plan, PlannedModel, WindowMs};
use crate::funnel;
use crate::journey::VisitRules;
use crate::models::{By, Model, Multipliers};
use crate::rates::Rates;
use crate::settings::{Contacts, ModelSettings, Settings, Window};

const MINUTE_MS: i64 = 60_000;
/// Steps per horizon: see [`Plan::step_ms`].
const HORIZON_STEPS: i64 = 24;
const SESSION_GAP_MINUTES_MAX: u32 = 1_440;
const NAME_LENGTH_MAX: usize = 64;

impl Section for Settings {
    const NAME: &'static str = "attribution";
    const SHAPE: Shape = Shape {
        open: &[OpenMap { path: "milestones", dotted: false }, OpenMap { path: "parameters", dotted: false }],
        whole: &["window", "milestones.*.window"],
        moved: &[("custom_kinds", "kinds.milestones"), ("default_currency", "ingest.currency")],
    };
    type Compiled = Plan;

    fn compile(&self, given: &Given<'_>, problems: &mut Problems) -> Option<Plan> {
        // A zone that does not exist is reported where it is set.
        let zone = TimeZone::get(given.time_zone).unwrap_or(TimeZone::UTC);
        plan(self, given, &zone, problems)
    }
}

fn plan(settings: &Settings, given: &Given<'_>, zone: &TimeZone, problems: &mut Problems) -> Option<Plan> {
    let kinds = given.kinds;
    let sets = Sets::read(settings, given, problems);
    let mut of_currency = Problems::default();
    let rates = settings.currency.compile_in(given, &mut of_currency).flatten();
    of_currency.0.into_iter().for_each(|(key, problem)| problems.at_whole(key, problem));
    let horizon_ms = i64::from(problems.whole("horizon_days", settings.horizon_days, 1, DAYS_MAX)) * DAY_MS;
    let window = window("window", settings.window, horizon_ms, problems);
    let gap = problems.whole("session_gap_minutes", settings.session_gap_minutes, 0, SESSION_GAP_MINUTES_MAX);
    let max_journey = problems.whole("max_journey", settings.max_journey, 10, 100_000);

    let visits = visit_rules(settings, gap, problems);
    let telling = visits.touch_types.join(",");
    let reach = reach(window, zone);
    let mut journey = format!("window={reach},session_gap_minutes={gap},touch_types={telling},max_journey={max_journey}");
    let named_only = settings.contacts == Contacts::Named;
    if named_only {
        journey.push_str(",contacts=named");
    }
    let common = Common { kinds, sets: &sets, horizon_ms, zone, journey };
    let (models, stages) = common.models(settings, problems);
    let kind_plans = kind_plans(settings, kinds, horizon_ms, problems);
    let windows = || kind_plans.values().filter_map(|kind| kind.window).chain([window]);
    let longest_ms = windows().map(WindowMs::longest_ms).max().unwrap_or_default();
    if longest_ms > horizon_ms {
        let days = longest_ms / DAY_MS;
        problems.at("horizon_days", format!("must be at least the longest look-back, {days}: shorten that, or look further"));
    }
    let own = models.iter().filter_map(|model| model.window);
    let lifecycles = windows().chain(own).any(|window| matches!(window, WindowMs::Lifecycle(_)));
    Some(Plan {
        longest_ms: if visits.gap_ms > 0 { longest_ms + DAY_MS + visits.gap_ms } else { longest_ms },
        visits,
        max_journey: usize::try_from(max_journey).unwrap_or(usize::MAX),
        step_ms: (horizon_ms / HORIZON_STEPS / DAY_MS).max(1) * DAY_MS,
        message_bytes_max: tributary_runtime::mailbox::MESSAGE_BYTES_MAX,
        digest: digest(settings, kinds, zone, (&models, rates.as_ref())),
        rates,
        classifier: None,
        outputs: settings.outputs,
        named_only,
        uses_roles: named_only || models.iter().any(|model: &PlannedModel| model.multipliers.uses(By::Role)),
        rest_after: crate::unit::REST_AFTER,
        stages,
        window,
        zone: zone.clone(),
        lifecycles,
        horizon_ms,
        window_max_ms: longest_ms,
        models,
        kinds: kind_plans,
        milestone_kinds: kinds.clone(),
    })
}

/// A window as part of a model's version.
fn reach(window: WindowMs, zone: &TimeZone) -> String {
    match window {
        WindowMs::Lookback(length_ms) => length_ms.to_string(),
        WindowMs::Lifecycle(longest_ms) => format!("lifecycle,{longest_ms}"),
        WindowMs::Calendar(period) => format!("{period:?},{}", zone.iana_name().unwrap_or_default()),
    }
}

/// What all models share.
struct Common<'a> {
    kinds: &'a Kinds,
    sets: &'a Sets,
    horizon_ms: i64,
    zone: &'a TimeZone,
    /// The rules of journeys as part of a model's version.
    journey: String,
}

impl Common<'_> {
    /// The models, and the stages that they use.
    fn models(&self, settings: &Settings, problems: &mut Problems) -> (Vec<PlannedModel>, Vec<String>) {
        let (mut models, mut names, mut stages) = (Vec::new(), BTreeSet::new(), vec![funnel::LEAD.to_owned()]);
        for (at, model) in settings.models.iter().enumerate() {
            let field = format!("models[{at}]");
            check_name(&format!("{field}.name"), &model.name, problems);
            if !names.insert(model.name.as_str()) {
                let problem = format!("{:?} is the name of another model too; names are unique", model.name);
                problems.at(format!("{field}.name"), problem);
            }
            models.extend(self.model(&field, model, &mut stages, problems));
        }
        if settings.models.is_empty() {
            problems.at("models", "name at least one model, or leave the list out for the default ones");
        }
        (models, stages)
    }

    fn model(
        &self,
        field: &str,
        model: &ModelSettings,
        stages: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<PlannedModel> {
        let own = model.window.map(|own| window(&format!("{field}.window"), own, self.horizon_ms, problems));
        let split = model::split(field, model, problems);
        let (of, rule, multipliers) = model::compile(field, model, self.kinds, self.sets, stages, problems)?;
        let mut journey = self.journey.clone();
        if let Some(own) = own {
            journey.push_str(&format!(";window={}", reach(own, self.zone)));
        }
        if let Some(split) = &split {
            journey.push_str(&format!(";split={}", split.parameters()));
        }
        let version = version(&of, rule.as_ref(), &multipliers, &journey);
        let (name, zone) = (model.name.clone(), self.zone.clone());
        Some(PlannedModel { name, version, rule, multipliers, split, window: own, zone })
    }
}

/// See [`Plan::digest`]. The versions cover the parameter sets, and the digest of `Rates` the file of rates: both can change without a
/// change of the settings.
fn digest(settings: &Settings, kinds: &Kinds, zone: &TimeZone, (models, rates): (&[PlannedModel], Option<&Rates>)) -> u64 {
    let kinds: Vec<&str> = kinds.milestones().collect();
    let versions: Vec<&str> = models.iter().map(|model| model.version.as_str()).collect();
    let mut text = format!("{settings:?};{kinds:?};{};{versions:?}", zone.iana_name().unwrap_or_default());
    text.extend(rates.map(|rates| format!(";{}", rates.digest())));
    tributary_runtime::generation::digest(&text)
}

fn visit_rules(settings: &Settings, gap_minutes: u32, problems: &mut Problems) -> VisitRules {
    let mut touch_types: Vec<String> = Vec::new();
    for (at, touch_type) in settings.touch_types.iter().enumerate() {
        let lower = touch_type.to_lowercase();
        if touch_type.is_empty() || touch_types.contains(&lower) {
            problems.at(format!("touch_types[{at}]"), "must be a type of touches that is not in the list already");
        }
        touch_types.push(lower);
    }
    VisitRules { gap_ms: i64::from(gap_minutes) * MINUTE_MS, touch_types }
}

fn window(field: &str, window: Window, horizon_ms: i64, problems: &mut Problems) -> WindowMs {
    match window {
        Window::LookbackDays(days) => {
            let days = problems.whole(&format!("{field}.lookback_days"), days, 1, DAYS_MAX);
            WindowMs::Lookback(i64::from(days) * DAY_MS)
        }
        Window::Lifecycle => WindowMs::Lifecycle(horizon_ms),
        Window::Calendar(period) => WindowMs::Calendar(period),
    }
}

fn check_name(field: &str, name: &str, problems: &mut Problems) {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.bytes().all(fits) {
        problems.at(field, format!("must be 1 to {NAME_LENGTH_MAX} of a-z, 0-9 and _"));
    }
}

fn kind_plans(settings: &Settings, kinds: &Kinds, horizon_ms: i64, problems: &mut Problems) -> BTreeMap<String, KindPlan> {
    let mut plans = BTreeMap::new();
    for (name, own) in &settings.milestones {
        let field = format!("milestones.{name}");
        let kind = milestone(&field, name, kinds, problems);
        let mut chosen = Vec::new();
        for (at, name) in own.models.iter().flatten().enumerate() {
            let field = format!("{field}.models[{at}]");
            if problems.known(&field, name, settings.models.iter().map(|model| model.name.as_str()))
                && let Some(model) = settings.models.iter().position(|model| model.name == *name)
            {
                if chosen.contains(&model) {
                    problems.at(field, format!("{name:?} is named twice"));
                }
                chosen.push(model);
            }
        }
        let models = own.models.is_some().then_some(chosen);
        let window = own.window.map(|own| window(&format!("{field}.window"), own, horizon_ms, problems));
        plans.insert(kind, KindPlan { models, window });
    }
    plans
}

/// See [`PlannedModel::version`]. Part of the published format: do not change.
fn version(rule: &str, model: &dyn Model, multipliers: &Multipliers, journey: &str) -> String {
    let text = format!("{rule};{};{};{journey}", model.parameters(), multipliers.parameters());
    let mut hex = Hash128::of(text.as_bytes()).to_string();
    hex.truncate(8);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(settings: &Settings) -> Result<Plan, Problems> {
        settings.compiled(&Kinds::default())
    }

    use crate::settings::{AnchorSettings, KindSettings};

    #[test]
    fn defaults_compile_to_ten_models() {
        let plan = compiled(&Settings::default()).unwrap();
        let names: Vec<&str> = plan.models_of("closed_won").map(|model| model.name.as_str()).collect();
        let expected = [
            "first_touch",
            "last_touch",
            "last_non_direct",
            "lead_conversion",
            "linear",
            "time_decay",
            "u_shaped",
            "w_shaped",
            "full_path",
            "time_weighted",
        ];
        assert_eq!(names, expected);
        assert_eq!(plan.stages, ["lead", "opportunity"]);
        assert!(plan.is_stage("mql") && plan.is_stage("opportunity") && !plan.is_stage("meeting"));
        assert!(plan.looks_at("expansion", "closed_won") && !plan.looks_at("closed_won", "closed_won"));
    }

    #[test]
    fn all_errors_of_the_settings_are_reported_at_once() {
        let model = |name: &str, rule: &str| ModelSettings { name: name.into(), rule: rule.into(), ..ModelSettings::default() };
        let settings = Settings {
            window: Window::LookbackDays(0),
            models: vec![
                model("linear", "liner"),
                model("linear", "linear"),
                ModelSettings { first: Some(50.0), ..model("u", "position") },
                ModelSettings { half_life_days: Some(f64::NAN), alpha: Some(1.0), ..model("decay", "time_decay") },
                ModelSettings { anchors: vec![AnchorSettings { at: "leed".into(), percent: 100.0 }], ..model("s", "staged") },
            ],
            milestones: [("sql".to_owned(), crate::settings::KindSettings { models: Some(vec!["lin".into()]), window: None })]
                .into(),
            ..Settings::default()
        };
        let problems = compiled(&settings).unwrap_err();
        let fields: Vec<&str> = problems.0.iter().map(|(key, _)| key.as_str()).collect();
        let expected = [
            "window.lookback_days",
            "models[0].type",
            "models[1].name",
            "models[2]",
            "models[3].alpha",
            "models[3].half_life_days",
            "models[4].anchors[0].at",
            "milestones.sql",
            "milestones.sql.models[0]",
        ];
        assert_eq!(fields, expected);
        assert!(problems.0[1].1.contains("did you mean \"linear\"?"), "{}", problems.0[1].1);
    }

    #[test]
    fn a_model_has_the_same_version_by_whatever_name_its_type_was_given() {
        let versions = |types: &[&str]| -> Vec<String> {
            let model = |(at, rule): (usize, &&str)| ModelSettings {
                name: format!("m{at}"),
                rule: (*rule).to_owned(),
                ..ModelSettings::default()
            };
            let settings = Settings { models: types.iter().enumerate().map(model).collect(), ..Settings::default() };
            let plan = compiled(&settings).unwrap_or_else(|problems| panic!("{problems}"));
            plan.models_of("mql").map(|model| model.version.clone()).collect()
        };
        let of_defaults = compiled(&Settings::default()).unwrap();
        let default = |name: &str| of_defaults.models_of("mql").find(|model| model.name == name).unwrap().version.clone();
        let given = versions(&["FTA", "末次互动", "u_shaped", "U型", "W", "full path", "Time Decay", "TWA"]);
        let known =
            ["first_touch", "last_touch", "u_shaped", "u_shaped", "w_shaped", "full_path", "time_decay", "time_weighted"];
        assert_eq!(given, known.map(default));
        let [u, j, inverse] = <[String; 3]>::try_from(versions(&["U", "J", "inverse J"])).unwrap();
        assert!(u != j && j != inverse && u != inverse);
    }

    #[test]
    fn presets_are_these_shares() {
        let shares = |rule: &str, first, middle, last| {
            let own =
                ModelSettings { name: "own".into(), rule: "position".into(), first, middle, last, ..ModelSettings::default() };
            let preset = ModelSettings { name: "preset".into(), rule: rule.into(), ..ModelSettings::default() };
            let plan = compiled(&Settings { models: vec![own, preset], ..Settings::default() }).unwrap();
            let versions: Vec<&str> = plan.models_of("mql").map(|model| model.version.as_str()).collect();
            versions[0] == versions[1]
        };
        assert!(shares("u_shaped", Some(40.0), Some(20.0), Some(40.0)));
        assert!(shares("j_shaped", Some(20.0), Some(20.0), Some(60.0)));
        assert!(shares("inverse_j", Some(60.0), Some(20.0), Some(20.0)));
        assert!(!shares("j_shaped", Some(60.0), Some(20.0), Some(20.0)));
    }

    #[test]
    fn the_horizon_is_at_least_the_longest_window_and_a_life_cycle_reaches_as_far() {
        let plan_of = |horizon_days, window, won| {
            let kind = KindSettings { window: Some(won), ..KindSettings::default() };
            let milestones = BTreeMap::from([("closed_won".to_owned(), kind)]);
            compiled(&Settings { horizon_days, window, milestones, ..Settings::default() })
        };
        let (short, long) = (Window::LookbackDays(3), Window::LookbackDays(10));
        let problems = plan_of(9, short, long).unwrap_err();
        assert_eq!(problems.0.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["horizon_days"]);
        let plan = plan_of(10, short, long).unwrap();
        let before_windows = DAY_MS + 30 * MINUTE_MS;
        assert_eq!((plan.horizon_ms(0), plan.out_of_reach_ms(0)), (-10 * DAY_MS, -20 * DAY_MS - before_windows));
        assert!(!plan.looks_at("mql", "closed_won"));
        let plan = plan_of(30, short, Window::Lifecycle).unwrap();
        assert_eq!((plan.horizon_ms(0), plan.out_of_reach_ms(0)), (-30 * DAY_MS, -60 * DAY_MS - before_windows));
        assert!(plan.looks_at("mql", "closed_won"));
    }

    #[test]
    fn steps_are_whole_days_from_1970_on() {
        let plan_of =
            |horizon_days| compiled(&Settings { horizon_days, window: Window::LookbackDays(1), ..Settings::default() });
        let (day, month) = (plan_of(1).unwrap(), plan_of(730).unwrap());
        assert_eq!((day.step_before(DAY_MS), day.step_before(DAY_MS - 1), day.step_before(-1)), (DAY_MS, 0, -DAY_MS));
        assert_eq!((month.step_before(30 * DAY_MS), month.step_before(30 * DAY_MS - 1)), (30 * DAY_MS, 0));
    }

    #[test]
    fn a_version_changes_with_the_parameters_and_only_with_them() {
        let version_of = |settings: &Settings, name: &str| {
            compiled(settings).unwrap().models_of("").find(|model| model.name == name).unwrap().version.clone()
        };
        let mut settings = Settings::default();
        let (linear, decay) = (version_of(&settings, "linear"), version_of(&settings, "time_decay"));
        settings.models[5].half_life_days = Some(7.0);
        assert_eq!(version_of(&settings, "linear"), linear);
        assert_ne!(version_of(&settings, "time_decay"), decay);
        settings.window = Window::Lifecycle;
        let lifecycle = version_of(&settings, "linear");
        assert_ne!(lifecycle, linear);
        settings.horizon_days += 1;
        assert_ne!(version_of(&settings, "linear"), lifecycle);
    }
}
