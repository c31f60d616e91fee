//! The models of a plan, from their settings.

use tributary_learn::parameters::ModelKind;
use tributary_proto::WHOLE_NANO;
use tributary_proto::kind::Kinds;
use tributary_proto::vocabulary::{ANCHORS, MODELS, find};
use tributary_runtime::config::Problems;

use super::factors::{known_channels, multipliers, stage_position};
use super::sets::Sets;
use super::{DAY_MS, DAYS_MAX};
use crate::models::{
    Anchor, ByName, FirstTouch, LastNonDirect, LastTouch, LeadConversion, Learnt, Linear, Model, Multipliers, Pattern,
    Position, Split, Staged, TimeDecay, TimeWeighted,
};
use crate::settings::{AnchorSettings, ModelSettings};

/// One percent in billionths.
const NANO_OF_PERCENT: f64 = 1e7;
/// How far shares may miss 100 percent, in billionths: three times 33.3333 counts as the whole.
const SHARE_SLACK_NANO: u64 = 10_000;

/// A model with the canonical name of its type; a preset as the type it stands for, with default parameters where none are given.
fn settled(model: &ModelSettings) -> ModelSettings {
    let mut settled = model.clone();
    let name = find(&MODELS, &model.rule).map_or(model.rule.as_str(), |term| term.name);
    let position = |settled: &mut ModelSettings, [first, middle, last]: [f64; 3]| {
        settled.first = settled.first.or(Some(first));
        settled.middle = settled.middle.or(Some(middle));
        settled.last = settled.last.or(Some(last));
        "position"
    };
    let staged = |settled: &mut ModelSettings, places: &[&str], percent: f64| {
        if settled.anchors.is_empty() {
            settled.anchors = places.iter().map(|at| AnchorSettings { at: (*at).to_owned(), percent }).collect();
        }
        settled.middle = settled.middle.or(Some(10.0));
        "staged"
    };
    let rule = match name {
        "u_shaped" => position(&mut settled, [40.0, 20.0, 40.0]),
        "j_shaped" => position(&mut settled, [20.0, 20.0, 60.0]),
        "inverse_j" => position(&mut settled, [60.0, 20.0, 20.0]),
        "w_shaped" => staged(&mut settled, &["first", "lead", "opportunity"], 30.0),
        "full_path" => staged(&mut settled, &["first", "lead", "opportunity", "close"], 22.5),
        "custom" => "staged",
        other => other,
    };
    settled.rule = rule.to_owned();
    settled
}

/// The kind of milestone that a setting names, in any case.
pub(super) fn milestone(key: &str, name: &str, kinds: &Kinds, problems: &mut Problems) -> String {
    let kind = kinds.milestone(name).unwrap_or(name);
    problems.known(key, kind, kinds.milestones());
    kind.to_owned()
}

fn percent(problems: &mut Problems, key: &str, value: f64) -> u64 {
    libm::round(problems.number(key, value, 0.0, 100.0) * NANO_OF_PERCENT) as u64
}

fn sum(problems: &mut Problems, key: &str, shares_nano: impl Iterator<Item = u64>) {
    let sum: u64 = shares_nano.sum();
    if sum.abs_diff(WHOLE_NANO) > SHARE_SLACK_NANO {
        problems.at(key, format!("the shares sum to {} percent; they must sum to 100", sum as f64 / NANO_OF_PERCENT));
    }
}

/// Compiles a model: its type, its rule and its multipliers; `None` if the type is unknown.
pub(super) fn compile(
    field: &str,
    model: &ModelSettings,
    kinds: &Kinds,
    sets: &Sets,
    stages: &mut Vec<String>,
    problems: &mut Problems,
) -> Option<(String, Box<dyn Model>, Multipliers)> {
    let multipliers = multipliers(&format!("{field}.multipliers"), &model.multipliers, kinds, stages, problems);
    if find(&MODELS, &model.rule).is_none() {
        problems.known(&format!("{field}.type"), &model.rule, MODELS.iter().map(|term| term.name));
        return None;
    }
    let model = &settled(model);
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
        "shapley" => Box::new(Learnt::sum_game(model.label.unwrap_or_default())),
        fitted if ModelKind::FITTED.contains(&fitted) => Box::new(sets.of(field, model, problems)?),
        _ => Box::new(staged(field, model, kinds, stages, problems)),
    };
    Some((model.rule.clone(), rule, multipliers))
}

/// Refuses parameters of another type of model, because they would have no effect.
fn refuse_foreign(field: &str, model: &ModelSettings, problems: &mut Problems) {
    let staged = ["staged"].as_slice();
    let parameters: [(&str, bool, &[&str]); 9] = [
        ("half_life_days", model.half_life_days.is_some(), &["time_decay"]),
        ("first", model.first.is_some(), &["position"]),
        ("middle", model.middle.is_some(), &["position", "staged"]),
        ("last", model.last.is_some(), &["position"]),
        ("anchors", !model.anchors.is_empty(), staged),
        ("alpha", model.alpha.is_some(), &["time_weighted"]),
        ("beta", model.beta.is_some(), &["time_weighted"]),
        ("parameters", model.parameters.is_some(), &ModelKind::FITTED),
        ("label", model.label.is_some(), &["shapley"]),
    ];
    for (name, given, types) in parameters {
        if given && !types.contains(&model.rule.as_str()) {
            problems.at(format!("{field}.{name}"), format!("is a parameter of {}, not of {}", types.join(" and "), model.rule));
        }
    }
}

fn position(field: &str, model: &ModelSettings, problems: &mut Problems) -> Position {
    let first_nano = percent(problems, &format!("{field}.first"), model.first.unwrap_or(40.0));
    let middle_nano = percent(problems, &format!("{field}.middle"), model.middle.unwrap_or(20.0));
    let last_nano = percent(problems, &format!("{field}.last"), model.last.unwrap_or(40.0));
    sum(problems, field, [first_nano, middle_nano, last_nano].into_iter());
    Position { first_nano, middle_nano, last_nano }
}

fn staged(field: &str, model: &ModelSettings, kinds: &Kinds, stages: &mut Vec<String>, problems: &mut Problems) -> Staged {
    if model.anchors.is_empty() {
        problems.at(format!("{field}.anchors"), "a staged model needs at least one anchor");
    }
    let mut anchors = Vec::new();
    for (at, anchor) in model.anchors.iter().enumerate() {
        let field = format!("{field}.anchors[{at}]");
        let share = percent(problems, &format!("{field}.percent"), anchor.percent);
        let place = match anchor.at.to_lowercase().as_str() {
            "first" => Anchor::First,
            "last" => Anchor::Last,
            "close" => Anchor::Close,
            name => {
                let kind = kinds.milestone(name).unwrap_or(name);
                problems.known(&format!("{field}.at"), kind, ANCHORS.into_iter().chain(kinds.milestones()));
                Anchor::Stage(stage_position(stages, kind), kind.to_owned())
            }
        };
        if anchors.iter().any(|(other, _)| *other == place) {
            problems.at(format!("{field}.at"), "is an anchor of this model already");
        }
        anchors.push((place, share));
    }
    let middle_nano = percent(problems, &format!("{field}.middle"), model.middle.unwrap_or(0.0));
    sum(problems, field, anchors.iter().map(|(_, share)| *share).chain([middle_nano]));
    Staged { anchors, middle_nano }
}

/// The sides of a journey with fixed parts; `None` if there are none.
pub(super) fn split(field: &str, model: &ModelSettings, problems: &mut Problems) -> Option<Split> {
    let (mut sides, mut parts) = (Vec::new(), Vec::new());
    for (name, share) in &model.split {
        let key = format!("{field}.split.{name}");
        let pattern = Pattern::new(name.as_str());
        pattern.check(&key, known_channels(), problems);
        sides.push((pattern, parts.len()));
        parts.push((name.clone(), percent(problems, &key, *share)));
    }
    let sum: u64 = parts.iter().map(|(_, part)| part).sum();
    problems.unless(sum <= WHOLE_NANO, &format!("{field}.split"), "the parts sum to more than 100 percent");
    (!parts.is_empty()).then(|| Split::new(ByName::new(sides), parts))
}
