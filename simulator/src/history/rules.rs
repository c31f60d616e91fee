//! Settings so tight that every limit is reached.

use std::collections::BTreeMap;

use tributary_attributor::settings::{
    AnchorSettings, BandSettings, Contacts, CurrencySettings, KindSettings, Label, ModelSettings, MultiplierSettings,
    OutputSettings, Period, Settings, Window,
};
use tributary_identity::Settings as IdentitySettings;
use tributary_identity::settings::{Membership, PublicJoins};
use tributary_ingest::Settings as IngestSettings;
use tributary_ingest::channel::{Rule, Site};
use tributary_proto::kind::Kinds;
use tributary_runtime::config::AccountLevel;

use super::Features;
use super::events::{CUSTOM_KIND, CUSTOM_MILESTONE};
use crate::draw::Draw;
use crate::oracle::{Rules, rates};

/// A parameter set of `markov`: it has three of the histories' channels, one of them without weight.
const FIXED_SET: &str = "fixed";
const FIXED_SET_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/oracle/fixed_set.json");

pub(super) fn draw(draw: &mut Draw) -> (IngestSettings, Rules) {
    let kinds = Kinds::new(vec![CUSTOM_KIND.to_owned()], vec![CUSTOM_MILESTONE.to_owned()]);
    let ingest = IngestSettings { currency: draw.pick(&["EUR", "CNY", "JPY"]).to_owned(), ..IngestSettings::default() };
    let mut rules = Rules { kinds, identity: identity(draw), attribution: attribution(draw) };
    rules.identity.currency = ingest.currency.clone();
    (ingest, rules)
}

/// Settings for features. All are drawn always, so that none depends on which features are on.
pub(super) fn draw_more(draw: &mut Draw, features: Features, rules: &mut Rules) {
    let mut some = |percent, low, high| {
        let drawn = number(draw.between(low, high));
        draw.percent(percent).then_some(drawn)
    };
    let (cluster, leaves) = (some(50, 2, 4), some(40, 1, 3));
    let (first, latest, named) = (draw.percent(25), draw.percent(15), draw.percent(30));
    let listed = draw.pick(&[100, 100, 3, 2, 1, 0]);
    if draw.percent(50) {
        rules.attribution.currency = CurrencySettings { reporting: "CNY".to_owned(), rates: rates::FILE.to_owned() };
    }
    let at_root = draw.percent(50);
    let (chained, narrow) = (number(draw.between(2, 7)), draw.percent(40));
    let Rules { identity, attribution, .. } = rules;
    identity.account_people = listed;
    if features.hierarchy && at_root {
        (identity.account_level, attribution.account_level) = (AccountLevel::Root, AccountLevel::Root);
    }
    if features.trust {
        identity.anonymous_cluster = cluster.unwrap_or(identity.anonymous_cluster);
        identity.public_cluster = if narrow { chained } else { identity.public_cluster };
        identity.public_leaves = leaves.unwrap_or(identity.public_leaves);
        identity.public_joins = if first { PublicJoins::Anonymous } else { PublicJoins::All };
    }
    if features.roles && named {
        attribution.contacts = Contacts::Named;
    }
    let outputs = OutputSettings { touchpoints: draw.percent(80), milestones: draw.percent(80) };
    rules.attribution.outputs = outputs;
    let Rules { identity, .. } = rules;
    // Histories without people who change companies use `latest`: so they stay what they were before memberships existed.
    if !features.time || latest {
        identity.membership = Membership::Latest;
    }
}

/// Settings in force before: different ones, except those that decide which touches are kept.
pub(super) fn former(draw: &mut Draw, features: Features, now: &Rules) -> Rules {
    let mut former = Rules { kinds: now.kinds.clone(), identity: identity(draw), attribution: attribution(draw) };
    draw_more(draw, features, &mut former);
    former.identity.currency.clone_from(&now.identity.currency);
    if draw.percent(30) {
        former.identity.free_mail.clear();
    }
    if draw.percent(30) {
        former.identity.free_mail.push("b-corp.example".to_owned());
    }
    // Sometimes only one of the two differs.
    match draw.below(4) {
        0 => former.identity = now.identity.clone(),
        1 => former.attribution = now.attribution.clone(),
        _ => {}
    }
    let (before, after) = (&mut former.attribution, &now.attribution);
    (before.window, before.horizon_days) = (after.window, after.horizon_days);
    before.session_gap_minutes = after.session_gap_minutes;
    let window = |kind: &KindSettings| KindSettings { models: None, window: kind.window };
    before.milestones = after.milestones.iter().map(|(name, kind)| (name.clone(), window(kind))).collect();
    former
}

/// Settings of ingest in force before: sometimes with other channel rules.
pub(super) fn former_ingest(draw: &mut Draw, now: &IngestSettings) -> IngestSettings {
    let mut former = now.clone();
    let rule = Rule { channel: "referral".to_owned(), ..Rule::default() };
    match draw.below(5) {
        0 => former.channel_rules.push(Rule { source: Some(vec!["a".to_owned()]), ..rule }),
        1 => former.channel_rules.push(Rule { touch_type: Some(vec!["form".to_owned()]), ..rule }),
        2 => {
            let (name, domains) = ("news".to_owned(), vec!["news.example".to_owned()]);
            former.sites.push(Site { name, domains, category: "search".to_owned(), ..Site::default() });
        }
        // This makes touches direct that name a source: under these rules they name none.
        3 => former.channel_rules.push(Rule { channel: "direct".to_owned(), source: Some(vec!["b".to_owned()]), ..rule }),
        _ => {}
    }
    former
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
    for model in &mut models {
        if draw.percent(8) {
            model.split = split(draw);
        }
        if draw.percent(8) {
            model.window = Some(narrower(draw, horizon_days));
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
        parameters: BTreeMap::from([(FIXED_SET.to_owned(), FIXED_SET_FILE.to_owned())]),
        ..Settings::default()
    }
}

/// At least one of them, in their order.
fn some_of<T: Clone>(draw: &mut Draw, all: &[T]) -> Vec<T> {
    let always = draw.below(all.len());
    all.iter().enumerate().filter(|(at, _)| *at == always || draw.percent(40)).map(|(_, one)| one.clone()).collect()
}

fn window(draw: &mut Draw, horizon_days: u32) -> Window {
    // Short windows let more touches be dropped.
    match if draw.percent(40) && horizon_days < 100 { 1 } else { draw.below(5) } {
        0 => Window::Lifecycle,
        1 => Window::LookbackDays(1),
        2 => Window::LookbackDays(3.min(horizon_days)),
        3 => Window::LookbackDays(30.min(horizon_days)),
        _ => Window::LookbackDays(540.min(horizon_days)),
    }
}

/// A window for one model.
fn narrower(draw: &mut Draw, horizon_days: u32) -> Window {
    let yearly = horizon_days >= 366;
    match draw.below(6) {
        0 => Window::Lifecycle,
        1 if yearly => Window::Calendar(Period::Month),
        2 if yearly => Window::Calendar(Period::Quarter),
        3 if yearly => Window::Calendar(Period::Year),
        _ => Window::LookbackDays(1),
    }
}

/// Fixed parts for sides of a journey.
fn split(draw: &mut Draw) -> BTreeMap<String, f64> {
    let sides = draw.pick(&[&[("email", 30.0), ("d*", 20.0)][..], &[("events", 100.0)], &[("sales", 30.0)]]);
    sides.iter().map(|(side, percent)| ((*side).to_owned(), *percent)).collect()
}

fn multipliers(draw: &mut Draw) -> MultiplierSettings {
    let mut factors = factors(draw);
    if draw.percent(30) {
        let band = |from: f64, factors: MultiplierSettings| BandSettings { from, factors, ..BandSettings::default() };
        let inner = MultiplierSettings { stage: BTreeMap::new(), ..self::factors(draw) };
        factors.deal_size = vec![band(10.0, inner), band(5_000.0, MultiplierSettings::default())];
    }
    factors
}

fn factors(draw: &mut Draw) -> MultiplierSettings {
    let mut some = |keys: &[&str]| {
        let mut factors = BTreeMap::new();
        for key in keys {
            if draw.percent(60) {
                factors.insert((*key).to_owned(), draw.pick(&[0.0, 0.5, 2.0, 3.333_333]));
            }
        }
        factors
    };
    MultiplierSettings {
        role: some(&["boss", "user"]),
        channel: some(&["direct", "email"]),
        touch_type: some(&["form"]),
        source: some(&["a", "g*"]),
        campaign: some(&["b"]),
        stage: some(&["before", "lead", "opportunity"]),
        ..MultiplierSettings::default()
    }
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
        model("sum_game", "shapley"),
        ModelSettings { label: Some(Label::Campaign), ..model("of_campaigns", "shapley") },
        ModelSettings { parameters: Some(FIXED_SET.to_owned()), ..model("removal", "markov") },
    ]
}

fn number(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
