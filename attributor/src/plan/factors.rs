//! Factors on a model's weights, from their settings.

use std::collections::BTreeMap;

use iso_currency::Currency;
use tributary_proto::kind::Kinds;
use tributary_proto::vocabulary;
use tributary_runtime::config::Problems;

use crate::models::{Band, By, ByName, Factors, MULTIPLIER_MAX, Multipliers, Pattern};
use crate::settings::MultiplierSettings;

/// The name for the time before all stages, in factors by stage.
const BEFORE: &str = "before";

/// The factors of a model.
pub(super) fn multipliers(
    field: &str,
    of: &MultiplierSettings,
    kinds: &Kinds,
    stages: &mut Vec<String>,
    problems: &mut Problems,
) -> Multipliers {
    let mut bands = Vec::new();
    for (at, band) in of.deal_size.iter().enumerate() {
        let field = format!("{field}.deal_size[{at}]");
        let from = problems.number(&format!("{field}.from"), band.from, 0.0, 1e15);
        let from_micro = libm::round(from * 1e6) as u128;
        let currency = band.currency.as_str();
        let known = currency.is_empty() || Currency::from_code(currency).is_some();
        problems.unless(known, &format!("{field}.currency"), "not an ISO 4217 code such as CNY");
        let same = |other: &Band| (other.from_micro, other.currency.as_str()) == (from_micro, currency);
        problems.unless(!bands.iter().any(same), &format!("{field}.from"), "is the beginning of another size already");
        let nested = band.factors.deal_size.is_empty();
        problems.unless(nested, &format!("{field}.factors.deal_size"), "a size has no sizes of its own");
        let factors = factors(&format!("{field}.factors"), &band.factors, kinds, stages, problems);
        bands.push(Band { from_micro, currency: currency.to_owned(), factors });
    }
    Multipliers { factors: factors(field, of, kinds, stages, problems), bands }
}

fn factors(field: &str, of: &MultiplierSettings, kinds: &Kinds, stages: &mut Vec<String>, problems: &mut Problems) -> Factors {
    let tables = [&of.role, &of.channel, &of.touch_type, &of.source, &of.campaign];
    let tables = By::ALL.into_iter().zip(tables).filter(|(_, table)| !table.is_empty());
    let by = tables.map(|(what, table)| (what, by_name(&format!("{field}.{}", what.name()), what, table, problems))).collect();
    let (mut reached, mut before_stages) = (Vec::new(), None);
    for (name, factor) in &of.stage {
        let key = format!("{field}.stage.{name}");
        let factor = micro(&key, *factor, problems);
        if name == BEFORE {
            before_stages = Some(factor);
            continue;
        }
        let kind = kinds.milestone(name).unwrap_or(name);
        problems.known(&key, kind, [BEFORE].into_iter().chain(kinds.milestones()));
        reached.push((stage_position(stages, kind), kind.to_owned(), factor));
    }
    // Of stages reached at the same time, the later one of the cycle counts.
    let cycle: Vec<&str> = kinds.milestones().collect();
    reached.sort_by_key(|(_, kind, _)| cycle.iter().position(|known| known == kind));
    Factors { by, stages: reached, before_stages }
}

fn by_name(field: &str, what: By, table: &BTreeMap<String, f64>, problems: &mut Problems) -> ByName<u64> {
    let mut checked: BTreeMap<String, u64> = BTreeMap::new();
    for (name, factor) in table {
        let key = format!("{field}.{name}");
        let pattern = Pattern::new(name.as_str());
        match what {
            By::Role => pattern.check(&key, vocabulary::ROLES.iter().map(|term| term.name), problems),
            By::Channel => pattern.check(&key, known_channels(), problems),
            By::TouchType | By::Source | By::Campaign => {}
        }
        let known_as = if what == By::Role && !pattern.is_open() { vocabulary::role(name) } else { name.clone() };
        let known = checked.insert(known_as, micro(&key, *factor, problems));
        problems.unless(known.is_none(), &key, "is named twice, in two writings");
    }
    ByName::new(checked.into_iter().map(|(name, factor)| (Pattern::new(name), factor)).collect())
}

fn micro(key: &str, factor: f64, problems: &mut Problems) -> u64 {
    libm::round(problems.number(key, factor, 0.0, MULTIPLIER_MAX) * 1e6) as u64
}

/// The position of a stage among those in use; adds it if it is new.
pub(super) fn stage_position(stages: &mut Vec<String>, kind: &str) -> usize {
    stages.iter().position(|stage| stage == kind).unwrap_or_else(|| {
        stages.push(kind.to_owned());
        stages.len() - 1
    })
}

/// The channels that classification can give.
pub(super) fn known_channels() -> impl Iterator<Item = &'static str> {
    vocabulary::CHANNELS.iter().map(|term| term.name)
}
