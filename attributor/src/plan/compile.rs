//! From settings to a plan, with all errors at once.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::Hash128;

use super::{DAY_MS, KindPlan, Plan, PlannedModel, Problem, SettingsError, WindowMs};
use crate::journey::VisitRules;
use crate::models::{
    Anchor, FirstTouch, LastNonDirect, LastTouch, LeadConversion, Linear, MULTIPLIER_MAX, Model, Multipliers, Position, Staged,
    TimeDecay, TimeWeighted,
};
use crate::moments;
use crate::settings::{ModelSettings, Settings, Window};

const MINUTE_MS: i64 = 60_000;
/// Steps of the horizon.
const HORIZON_STEPS: i64 = 24;
const DAYS_MAX: u32 = 36_500;
const SESSION_GAP_MINUTES_MAX: u32 = 1_440;
const NAME_LENGTH_MAX: usize = 64;
/// Billionths of a percent's share.
const NANO_OF_PERCENT: f64 = 1e7;
/// How far shares may miss 100 percent, in billionths: three times 33.3333 is meant to be the whole.
const SHARE_SLACK_NANO: u64 = 10_000;
const WHOLE_NANO: u64 = tributary_proto::WHOLE_NANO;

const TYPES: [&str; 10] = [
    "first_touch",
    "last_touch",
    "last_non_direct",
    "lead_conversion",
    "linear",
    "time_decay",
    "position",
    "staged",
    "custom",
    "time_weighted",
];

/// What is wrong so far.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into() });
    }

    /// A number in a range, else its low end.
    fn number(&mut self, field: &str, value: f64, low: f64, high: f64) -> f64 {
        if value.is_finite() && (low..=high).contains(&value) {
            return value;
        }
        self.add(field, format!("must be a number from {low} to {high}"));
        low
    }

    fn whole(&mut self, field: &str, value: u32, low: u32, high: u32) -> u32 {
        if !(low..=high).contains(&value) {
            self.add(field, format!("must be a whole number from {low} to {high}"));
        }
        value.clamp(low, high)
    }

    /// A name that must be one of `known`; says which is nearest where it is not.
    fn known<'k>(&mut self, field: &str, name: &str, known: impl Iterator<Item = &'k str>) -> bool {
        let known: Vec<&str> = known.collect();
        if known.contains(&name) {
            return true;
        }
        let nearest = known.iter().max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
        let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest:?}?"));
        self.add(field, format!("{name:?} is not known{hint} Known are: {}", known.join(", ")));
        false
    }

    fn percent(&mut self, field: &str, value: f64) -> u64 {
        libm::round(self.number(field, value, 0.0, 100.0) * NANO_OF_PERCENT) as u64
    }

    fn sum(&mut self, field: &str, shares_nano: impl Iterator<Item = u64>) {
        let sum: u64 = shares_nano.sum();
        if sum.abs_diff(WHOLE_NANO) > SHARE_SLACK_NANO {
            self.add(field, format!("the shares sum to {} percent; they must sum to 100", sum as f64 / NANO_OF_PERCENT));
        }
    }
}

pub(super) fn plan(settings: &Settings) -> Result<Plan, SettingsError> {
    let mut problems = Problems::default();
    let horizon_ms = i64::from(problems.whole("horizon_days", settings.horizon_days, 1, DAYS_MAX)) * DAY_MS;
    let window = window("window", settings.window, horizon_ms, &mut problems);
    let gap = problems.whole("session_gap_minutes", settings.session_gap_minutes, 0, SESSION_GAP_MINUTES_MAX);
    let max_journey = problems.whole("max_journey", settings.max_journey, 10, 100_000);
    let kinds = milestone_kinds(settings, &mut problems);

    let mut stages = vec![moments::LEAD.to_owned()];
    let reach = match window {
        WindowMs::Lookback(length_ms) => length_ms.to_string(),
        WindowMs::Lifecycle(longest_ms) => format!("lifecycle,{longest_ms}"),
    };
    let visits = visit_rules(settings, gap, &mut problems);
    let telling = visits.touch_types.join(",");
    let journey = format!("window={reach},session_gap_minutes={gap},touch_types={telling},max_journey={max_journey}");
    let mut models = Vec::new();
    let mut names = BTreeSet::new();
    for (at, model) in settings.models.iter().enumerate() {
        let field = format!("models[{at}]");
        check_name(&format!("{field}.name"), &model.name, &mut problems);
        if !names.insert(model.name.as_str()) {
            problems
                .add(format!("{field}.name"), format!("{:?} is the name of another model too; names are unique", model.name));
        }
        if let Some((rule, multipliers)) = compile_model(&field, model, &kinds, &mut stages, &mut problems) {
            let version = version(&model.rule, rule.as_ref(), &multipliers, &journey);
            models.push(PlannedModel { name: model.name.clone(), version, rule, multipliers });
        }
    }
    if settings.models.is_empty() {
        problems.add("models", "name at least one model, or leave the list out for the default ones");
    }
    let kind_plans = kind_plans(settings, &kinds, horizon_ms, &mut problems);
    let windows = || kind_plans.values().filter_map(|kind| kind.window).chain([window]);
    let longest_ms = windows().map(WindowMs::longest_ms).max().unwrap_or_default();
    if longest_ms > horizon_ms {
        let days = longest_ms / DAY_MS;
        problems.add("horizon_days", format!("must be at least the longest look-back, {days}: shorten that, or look further"));
    }
    let lifecycles = windows().any(|window| matches!(window, WindowMs::Lifecycle(_)));
    if !problems.0.is_empty() {
        return Err(SettingsError(problems.0));
    }
    Ok(Plan {
        longest_ms: if visits.gap_ms > 0 { longest_ms + DAY_MS + visits.gap_ms } else { longest_ms },
        visits,
        max_journey: usize::try_from(max_journey).unwrap_or(usize::MAX),
        step_ms: (horizon_ms / HORIZON_STEPS / DAY_MS).max(1) * DAY_MS,
        message_bytes_max: tributary_runtime::mailbox::MESSAGE_BYTES_MAX,
        rest_after: crate::unit::REST_AFTER,
        stages,
        window,
        lifecycles,
        horizon_ms,
        models,
        kinds: kind_plans,
        custom_kinds: settings.custom_kinds.clone(),
    })
}

fn visit_rules(settings: &Settings, gap_minutes: u32, problems: &mut Problems) -> VisitRules {
    let mut touch_types: Vec<String> = Vec::new();
    for (at, touch_type) in settings.touch_types.iter().enumerate() {
        let lower = touch_type.to_lowercase();
        if touch_type.is_empty() || touch_types.contains(&lower) {
            problems.add(format!("touch_types[{at}]"), "must be a type of touches that is not in the list already");
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
    }
}

fn check_name(field: &str, name: &str, problems: &mut Problems) {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.bytes().all(fits) {
        problems.add(field, format!("must be 1 to {NAME_LENGTH_MAX} of a-z, 0-9 and _"));
    }
}

/// The kinds in force.
fn milestone_kinds<'s>(settings: &'s Settings, problems: &mut Problems) -> Vec<&'s str> {
    let mut kinds: Vec<&str> = moments::KINDS.to_vec();
    for (at, kind) in settings.custom_kinds.iter().enumerate() {
        let field = format!("custom_kinds[{at}]");
        check_name(&field, kind, problems);
        if kinds.contains(&kind.as_str()) {
            problems.add(&field, format!("{kind:?} is a milestone kind already"));
        }
        if ["first", "last", "close"].contains(&kind.as_str()) {
            problems.add(&field, format!("{kind:?} is the name of an anchor; choose another one"));
        }
        kinds.push(kind);
    }
    kinds
}

fn kind_plans(settings: &Settings, kinds: &[&str], horizon_ms: i64, problems: &mut Problems) -> BTreeMap<String, KindPlan> {
    let mut plans = BTreeMap::new();
    for (kind, own) in &settings.milestones {
        let field = format!("milestones.{kind}");
        problems.known(&field, kind, kinds.iter().copied());
        let mut chosen = Vec::new();
        for (at, name) in own.models.iter().flatten().enumerate() {
            let field = format!("{field}.models[{at}]");
            if problems.known(&field, name, settings.models.iter().map(|model| model.name.as_str()))
                && let Some(model) = settings.models.iter().position(|model| model.name == *name)
            {
                if chosen.contains(&model) {
                    problems.add(field, format!("{name:?} is named twice"));
                }
                chosen.push(model);
            }
        }
        let models = own.models.is_some().then_some(chosen);
        let window = own.window.map(|own| window(&format!("{field}.window"), own, horizon_ms, problems));
        plans.insert(kind.clone(), KindPlan { models, window });
    }
    plans
}

fn compile_model(
    field: &str,
    model: &ModelSettings,
    kinds: &[&str],
    stages: &mut Vec<String>,
    problems: &mut Problems,
) -> Option<(Box<dyn Model>, Multipliers)> {
    let multipliers = multipliers(field, model, problems);
    if !problems.known(&format!("{field}.type"), &model.rule, TYPES.into_iter()) {
        return None;
    }
    refuse_foreign(field, model, problems);
    let rule: Box<dyn Model> = match model.rule.as_str() {
        "first_touch" => Box::new(FirstTouch),
        "last_touch" => Box::new(LastTouch),
        "last_non_direct" => Box::new(LastNonDirect),
        "lead_conversion" => Box::new(LeadConversion),
        "linear" => Box::new(Linear),
        "time_decay" => {
            let days = model.half_life_days.unwrap_or(30.0);
            let days = problems.number(&format!("{field}.half_life_days"), days, 0.0, f64::from(DAYS_MAX));
            Box::new(TimeDecay { half_life_ms: libm::round(days * DAY_MS as f64) as u64 })
        }
        "position" => Box::new(position(field, model, problems)),
        "time_weighted" => {
            let mut shape = |name: &str, value: f64| {
                libm::round(problems.number(&format!("{field}.{name}"), value, 0.01, 10.0) * 1e6) as u64
            };
            let alpha_micro = shape("alpha", model.alpha.unwrap_or(0.5));
            Box::new(TimeWeighted { alpha_micro, beta_micro: shape("beta", model.beta.unwrap_or(0.4)) })
        }
        _ => Box::new(staged(field, model, kinds, stages, problems)),
    };
    Some((rule, multipliers))
}

/// Refuses parameters that belong to another type of model: they would do nothing.
fn refuse_foreign(field: &str, model: &ModelSettings, problems: &mut Problems) {
    let staged = ["staged", "custom"].as_slice();
    let parameters: [(&str, bool, &[&str]); 7] = [
        ("half_life_days", model.half_life_days.is_some(), &["time_decay"]),
        ("first", model.first.is_some(), &["position"]),
        ("middle", model.middle.is_some(), &["position", "staged", "custom"]),
        ("last", model.last.is_some(), &["position"]),
        ("anchors", !model.anchors.is_empty(), staged),
        ("alpha", model.alpha.is_some(), &["time_weighted"]),
        ("beta", model.beta.is_some(), &["time_weighted"]),
    ];
    for (name, given, types) in parameters {
        if given && !types.contains(&model.rule.as_str()) {
            problems
                .add(format!("{field}.{name}"), format!("is a parameter of {}, not of {}", types.join(" and "), model.rule));
        }
    }
}

fn position(field: &str, model: &ModelSettings, problems: &mut Problems) -> Position {
    let first_nano = problems.percent(&format!("{field}.first"), model.first.unwrap_or(40.0));
    let middle_nano = problems.percent(&format!("{field}.middle"), model.middle.unwrap_or(20.0));
    let last_nano = problems.percent(&format!("{field}.last"), model.last.unwrap_or(40.0));
    problems.sum(field, [first_nano, middle_nano, last_nano].into_iter());
    Position { first_nano, middle_nano, last_nano }
}

fn staged(field: &str, model: &ModelSettings, kinds: &[&str], stages: &mut Vec<String>, problems: &mut Problems) -> Staged {
    if model.anchors.is_empty() {
        problems.add(format!("{field}.anchors"), "a staged model needs at least one anchor");
    }
    let mut anchors = Vec::new();
    for (at, anchor) in model.anchors.iter().enumerate() {
        let field = format!("{field}.anchors[{at}]");
        let share = problems.percent(&format!("{field}.percent"), anchor.percent);
        let place = match anchor.at.as_str() {
            "first" => Anchor::First,
            "last" => Anchor::Last,
            "close" => Anchor::Close,
            kind => {
                problems.known(
                    &format!("{field}.at"),
                    kind,
                    ["first", "last", "close"].into_iter().chain(kinds.iter().copied()),
                );
                Anchor::Stage(stage_position(stages, kind), kind.to_owned())
            }
        };
        if anchors.iter().any(|(other, _)| *other == place) {
            problems.add(format!("{field}.at"), "is an anchor of this model already");
        }
        anchors.push((place, share));
    }
    let middle_nano = problems.percent(&format!("{field}.middle"), model.middle.unwrap_or(0.0));
    problems.sum(field, anchors.iter().map(|(_, share)| *share).chain([middle_nano]));
    Staged { anchors, middle_nano }
}

fn stage_position(stages: &mut Vec<String>, kind: &str) -> usize {
    stages.iter().position(|stage| stage == kind).unwrap_or_else(|| {
        stages.push(kind.to_owned());
        stages.len() - 1
    })
}

fn multipliers(field: &str, model: &ModelSettings, problems: &mut Problems) -> Multipliers {
    let mut micro = |name: &str, factors: &BTreeMap<String, f64>| {
        let mut checked = BTreeMap::new();
        for (key, factor) in factors {
            let factor = problems.number(&format!("{field}.multipliers.{name}.{key}"), *factor, 0.0, MULTIPLIER_MAX);
            checked.insert(key.clone(), libm::round(factor * 1e6) as u64);
        }
        checked
    };
    Multipliers {
        role_micro: micro("role", &model.multipliers.role),
        channel_micro: micro("channel", &model.multipliers.channel),
        touch_type_micro: micro("touch_type", &model.multipliers.touch_type),
    }
}

/// See [`PlannedModel::version`]. Part of the published format: do not change.
fn version(rule: &str, model: &dyn Model, multipliers: &Multipliers, journey: &str) -> String {
    let rule = if rule == "custom" { "staged" } else { rule };
    let text = format!("{rule};{};{};{journey}", model.parameters(), multipliers.parameters());
    let mut hex = Hash128::of(text.as_bytes()).to_string();
    hex.truncate(8);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{AnchorSettings, KindSettings};

    #[test]
    fn defaults_compile_to_ten_models() {
        let plan = plan(&Settings::default()).unwrap();
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
    fn everything_wrong_is_said_at_once() {
        let model = |name: &str, rule: &str| ModelSettings { name: name.into(), rule: rule.into(), ..ModelSettings::default() };
        let settings = Settings {
            window: Window::LookbackDays(0),
            custom_kinds: vec!["mql".into()],
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
        let SettingsError(problems) = plan(&settings).unwrap_err();
        let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
        let expected = [
            "window.lookback_days",
            "custom_kinds[0]",
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
        assert!(problems[2].message.contains("did you mean \"linear\"?"), "{}", problems[2].message);
    }

    #[test]
    fn the_horizon_is_at_least_the_longest_window_and_a_life_cycle_reaches_as_far() {
        let plan_of = |horizon_days, window, won| {
            let kind = KindSettings { window: Some(won), ..KindSettings::default() };
            let milestones = BTreeMap::from([("closed_won".to_owned(), kind)]);
            plan(&Settings { horizon_days, window, milestones, ..Settings::default() })
        };
        let (short, long) = (Window::LookbackDays(3), Window::LookbackDays(10));
        let SettingsError(problems) = plan_of(9, short, long).unwrap_err();
        assert_eq!(problems.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), ["horizon_days"]);
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
        let plan_of = |horizon_days| plan(&Settings { horizon_days, window: Window::LookbackDays(1), ..Settings::default() });
        let (day, month) = (plan_of(1).unwrap(), plan_of(730).unwrap());
        assert_eq!((day.step_before(DAY_MS), day.step_before(DAY_MS - 1), day.step_before(-1)), (DAY_MS, 0, -DAY_MS));
        assert_eq!((month.step_before(30 * DAY_MS), month.step_before(30 * DAY_MS - 1)), (30 * DAY_MS, 0));
    }

    #[test]
    fn a_version_changes_with_the_parameters_and_only_with_them() {
        let version_of = |settings: &Settings, name: &str| {
            plan(settings).unwrap().models_of("").find(|model| model.name == name).unwrap().version.clone()
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
