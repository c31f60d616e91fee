//! Settings so tight that every limit bites.

use std::collections::BTreeMap;

use tributary_attributor::settings::{AnchorSettings, KindSettings, ModelSettings, MultiplierSettings, Settings, Window};
use tributary_identity::Settings as IdentitySettings;
use tributary_ingest::Settings as IngestSettings;
use tributary_proto::kind::Kinds;

use super::events::{CUSTOM_KIND, CUSTOM_MILESTONE};
use crate::draw::Draw;
use crate::oracle::Rules;

pub(super) fn draw(draw: &mut Draw) -> (IngestSettings, Rules) {
    let kinds = Kinds::new(vec![CUSTOM_KIND.to_owned()], vec![CUSTOM_MILESTONE.to_owned()]);
    let ingest = IngestSettings { currency: draw.pick(&["EUR", "CNY", "JPY"]).to_owned(), ..IngestSettings::default() };
    let mut rules = Rules { kinds, identity: identity(draw), attribution: attribution(draw) };
    rules.identity.currency = ingest.currency.clone();
    (ingest, rules)
}

fn identity(draw: &mut Draw) -> IdentitySettings {
    let defaults = IdentitySettings::default();
    let mut limits = defaults.limits.clone();
    for kind in ["email", "phone", "anonymous_id", "crm_lead", "wechat_openid", CUSTOM_KIND] {
        if draw.percent(25) {
            limits.insert(kind.to_owned(), number(draw.between(1, 3)));
        }
    }
    let roomy = draw.percent(25);
    IdentitySettings {
        limits,
        default_limit: if roomy { defaults.default_limit } else { number(draw.between(2, 5)) },
        shared_after: if roomy { defaults.shared_after } else { number(draw.between(1, 3)) },
        shared_any: if roomy { defaults.shared_any } else { number(draw.between(3, 12)) },
        merged_kinds: if draw.percent(80) { defaults.merged_kinds } else { [CUSTOM_KIND.to_owned()].into() },
        max_cluster: if draw.percent(50) { defaults.max_cluster } else { number(draw.between(3, 16)) },
        free_mail: vec!["private.example".to_owned()],
        reentry_after_days: ["mql", "closed_won"]
            .iter()
            .filter(|_| draw.percent(40))
            .map(|kind| ((*kind).to_owned(), 1))
            .collect(),
        ..IdentitySettings::default()
    }
}

fn attribution(draw: &mut Draw) -> Settings {
    let defaults = Settings::default();
    let horizon_days = if draw.percent(40) { draw.pick(&[1, 3, 10, 10, 30, 90]) } else { defaults.horizon_days };
    let mut models = if draw.percent(70) { defaults.models.clone() } else { some_of(draw, &defaults.models) };
    for extra in extra_models() {
        if draw.percent(20) {
            models.push(extra);
        }
    }
    if draw.percent(40) {
        let multiplied = draw.below(models.len());
        if let Some(model) = models.get_mut(multiplied) {
            model.multipliers = multipliers(draw);
        }
    }
    let mut milestones = BTreeMap::new();
    for kind in ["mql", "closed_won", CUSTOM_MILESTONE] {
        if draw.percent(20) {
            let names: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
            let chosen = draw.percent(70).then(|| some_of(draw, &names));
            milestones.insert(
                kind.to_owned(),
                KindSettings { models: chosen, window: draw.percent(50).then(|| window(draw, horizon_days)) },
            );
        }
    }
    Settings {
        window: window(draw, horizon_days),
        horizon_days,
        session_gap_minutes: draw.pick(&[0, 30, 30, 60, 1_440]),
        touch_types: draw
            .pick(&[&[][..], &["form"], &["call", "FORM", "page"]])
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
        max_journey: if draw.percent(50) { number(draw.between(10, 14)) } else { defaults.max_journey },
        models,
        milestones,
    }
}

/// At least one, in their order.
fn some_of<T: Clone>(draw: &mut Draw, all: &[T]) -> Vec<T> {
    let always = draw.below(all.len());
    all.iter().enumerate().filter(|(at, _)| *at == always || draw.percent(40)).map(|(_, one)| one.clone()).collect()
}

fn window(draw: &mut Draw, horizon_days: u32) -> Window {
    // Short ones leave more to be dropped.
    match if draw.percent(40) && horizon_days < 100 { 1 } else { draw.below(5) } {
        0 => Window::Lifecycle,
        1 => Window::LookbackDays(1),
        2 => Window::LookbackDays(3.min(horizon_days)),
        3 => Window::LookbackDays(30.min(horizon_days)),
        _ => Window::LookbackDays(540.min(horizon_days)),
    }
}

fn multipliers(draw: &mut Draw) -> MultiplierSettings {
    let mut some = |keys: &[&str]| {
        let mut factors = BTreeMap::new();
        for key in keys {
            if draw.percent(60) {
                factors.insert((*key).to_owned(), draw.pick(&[0.0, 0.5, 2.0, 3.333_333]));
            }
        }
        factors
    };
    MultiplierSettings { role: some(&["boss", "user"]), channel: some(&["direct", "email"]), touch_type: some(&["form"]) }
}

fn extra_models() -> Vec<ModelSettings> {
    let model =
        |name: &str, rule: &str| ModelSettings { name: name.to_owned(), rule: rule.to_owned(), ..ModelSettings::default() };
    let staged = |name: &str, anchors: &[(&str, f64)], middle: f64| ModelSettings {
        anchors: anchors.iter().map(|(at, percent)| AnchorSettings { at: (*at).to_owned(), percent: *percent }).collect(),
        middle: Some(middle),
        ..model(name, "custom")
    };
    vec![
        staged("u_lead", &[("first", 50.0), ("lead", 50.0)], 0.0),
        staged("meetings", &[("meeting", 25.0), (CUSTOM_MILESTONE, 25.0), ("last", 10.0), ("close", 20.0)], 20.0),
        staged("stages_only", &[("mql", 60.0), ("closed_won", 40.0)], 0.0),
        ModelSettings { first: Some(60.0), middle: Some(10.0), last: Some(30.0), ..model("j_shaped", "position") },
        ModelSettings { first: Some(0.0), middle: Some(100.0), last: Some(0.0), ..model("inside", "position") },
        ModelSettings { half_life_days: Some(0.0), ..model("no_half_life", "time_decay") },
        ModelSettings { half_life_days: Some(0.01), ..model("steep", "time_decay") },
        ModelSettings { alpha: Some(3.0), beta: Some(2.0), ..model("hump", "time_weighted") },
    ]
}

fn number(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
