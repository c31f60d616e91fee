//! Compiles the settings to decoding rules, and reports all errors at once.

use std::collections::{BTreeMap, BTreeSet};

use iso_currency::Currency;
use jiff::tz::TimeZone;
use tributary_proto::Hash128;
use tributary_proto::kind::Kinds;
use tributary_proto::occurrence::RESERVED_KINDS;
use tributary_runtime::config::{Given, OpenMap, Problems, Section, Shape};

use crate::bots::Bots;
use crate::channel::compile::FILE_SETTING;
use crate::channel::{ChannelFile, Channels};
use crate::click_ids;
use crate::company::CompanyNames;
use crate::decoder::Decoder;
use crate::dimensions::DimensionRules;
use crate::money;
use crate::native::record::is_field;
use crate::normalise::IdentifierRules;
use crate::normalise::blocked::BlockedValues;
use crate::normalise::phone::Region;
use crate::public::PublicRules;
use crate::rules::{Meaning, Rules};
use crate::settings::Settings;
use crate::time::Times;
use crate::touch::TouchRules;
use crate::webhook::PROVIDERS;
use crate::webhook::rules::WebhookRules;

impl Section for Settings {
    const NAME: &'static str = "ingest";
    const SHAPE: Shape = Shape {
        open: &[
            OpenMap { path: "milestone_events", dotted: false },
            OpenMap { path: "wechat_appids", dotted: false },
            OpenMap { path: "webhook.wechat_open_platforms", dotted: false },
            OpenMap { path: "webhook.wecom_scopes", dotted: false },
            OpenMap { path: "webhook.hubspot.association_labels", dotted: true },
            OpenMap { path: "webhook.hubspot.contacts.stages", dotted: true },
            OpenMap { path: "webhook.hubspot.deals.stages", dotted: true },
            OpenMap { path: "webhook.salesforce.leads.stages", dotted: true },
            OpenMap { path: "webhook.salesforce.opportunities.stages", dotted: true },
            OpenMap { path: "webhook.mappings", dotted: false },
        ],
        moved: &[("identifier_kinds", "kinds.identifiers"), ("milestone_kinds", "kinds.milestones")],
        ..Shape::CLOSED
    };
    type Compiled = Decoder;

    fn compile(&self, given: &Given<'_>, problems: &mut Problems) -> Option<Decoder> {
        rules(self, given, problems).map(Decoder::with)
    }
}

fn rules(settings: &Settings, given: &Given<'_>, problems: &mut Problems) -> Option<Rules> {
    let kinds = given.kinds;
    let zone = problems.check(TimeZone::get(&settings.time_zone).ok(), "time_zone", "not an IANA zone such as Asia/Shanghai");
    let region = Region::parse(&settings.phone_region);
    let region = problems.check(region, "phone_region", "not an ISO 3166-1 alpha-2 code such as CN");
    let currency: Option<Currency> =
        problems.check(money::currency(&settings.currency).ok(), "currency", "not an ISO 4217 code such as CNY");
    check_kinds(kinds, problems);
    let meanings = meanings(settings, kinds, problems);
    let public = public(settings, &meanings, kinds, problems);
    let identifiers = region.map(|region| IdentifierRules::new(kinds, BlockedValues::new(&settings.blocked_values), region));
    check_scopes("wechat_appids", &settings.wechat_appids, problems);
    for (at, _) in settings.company_names.iter().enumerate().filter(|(_, name)| name.trim().is_empty()) {
        problems.at(format!("company_names[{at}]"), "must not be blank");
    }
    let webhook = identifiers.as_ref().and_then(|identifiers| webhook(settings, identifiers, kinds, problems));
    let channels = channels(settings, given, problems);
    let dimensions = DimensionRules::new(&settings.dimensions, problems);
    dimensions.check(&settings.webhook.mappings, problems);
    let own_sites: Vec<String> = settings.own_sites.iter().map(|site| site.trim().trim_matches('.').to_lowercase()).collect();
    let (identifiers, channels) = (identifiers?, channels?);
    let digest = format!("{}\u{1f}{}", channels.digest(), own_sites.join("\u{1f}"));
    let digest = Hash128::of(digest.as_bytes()).head4();
    Some(Rules {
        times: Times { zone: zone?, future_ms_max: i64::from(settings.max_future_skew_hours) * 3_600_000 },
        currency: currency?,
        kinds: kinds.clone(),
        bots: Bots::new(&settings.bot_agents),
        company_names: CompanyNames::new(&settings.company_names),
        public,
        trust: settings.trust,
        meanings,
        touches: TouchRules { click_ids: click_ids::are_identifiers(&channels, &identifiers), channels, own_sites, digest },
        identifiers,
        webhook: webhook?,
        dimensions,
    })
}

/// Checks the scopes of identifiers in a setting, by account.
fn check_scopes(field: &str, scopes: &BTreeMap<String, String>, problems: &mut Problems) {
    for (account, _) in scopes.iter().filter(|(_, scope)| scope.trim().is_empty()) {
        problems.at(format!("{field}.{account}"), "must not be blank");
    }
}

/// Compiles the settings of webhooks.
fn webhook(settings: &Settings, rules: &IdentifierRules, kinds: &Kinds, problems: &mut Problems) -> Option<WebhookRules> {
    problems.below("webhook", |problems| {
        check_scopes("wechat_open_platforms", &settings.webhook.wechat_open_platforms, problems);
        check_scopes("wecom_scopes", &settings.webhook.wecom_scopes, problems);
        for provider in PROVIDERS.iter().filter(|provider| settings.webhook.mappings.contains_key(provider.name)) {
            problems.at(format!("mappings.{}", provider.name), "is a built-in provider");
        }
        WebhookRules::new(&settings.webhook, &settings.wechat_appids, rules, kinds, problems)
    })
}

fn channels(settings: &Settings, given: &Given<'_>, problems: &mut Problems) -> Option<Channels> {
    let file = match settings.channels_file.as_str() {
        "" => None,
        // The value may be something else than a path, so the message does not repeat it.
        path => match (given.read)(path).map_err(|error| format!("the file cannot be read: {error}")) {
            Ok(text) => Some(ChannelFile::parse(path, text)),
            Err(problem) => Some(Err(problem)),
        },
    };
    let file = file.transpose().map_err(|problem| problems.at(FILE_SETTING, problem)).ok()?;
    let channels = Channels::new(&settings.channel_rules, &settings.sites, file.as_ref());
    channels.map_err(|found| found.into_iter().for_each(|(field, message)| problems.at(field, message))).ok()
}

/// Checks the kinds: the name of a kind of identifier is also a field of the native record.
fn check_kinds(kinds: &Kinds, problems: &mut Problems) {
    for (at, _) in kinds.custom_identifiers().iter().enumerate().filter(|(_, name)| is_field(name)) {
        problems.at_whole(format!("kinds.identifiers[{at}]"), "is a field of the native record");
    }
    // The key of a milestone begins with its kind, so these are reserved.
    for reserved in RESERVED_KINDS.iter().filter(|reserved| kinds.milestones().any(|name| name.trim() == **reserved)) {
        let why = format!("`{reserved}` is no kind of milestone: {reserved}s have keys of that name");
        problems.at_whole("kinds.milestones".to_owned(), why);
    }
}

fn public(settings: &Settings, meanings: &BTreeMap<String, Meaning>, kinds: &Kinds, problems: &mut Problems) -> PublicRules {
    let mut named = |key: &str, names: &[String]| {
        let mut known = BTreeSet::new();
        for (at, name) in names.iter().enumerate() {
            let kind = problems.check(kinds.milestone(name), &format!("{key}[{at}]"), &kinds.no_milestone());
            known.extend(kind.map(str::to_owned));
        }
        known
    };
    let values = named("public_values", &settings.public_values);
    let mut milestones = named("public_milestones", &settings.public_milestones);
    // An operator who maps an event of pages to a milestone wants public events to report it.
    milestones.extend(meanings.values().filter_map(|meaning| match meaning {
        Meaning::Milestone(kind) => Some(kind.clone()),
        Meaning::Touch => None,
    }));
    milestones.extend(values.iter().cloned());
    PublicRules { milestones, values, age_ms_max: i64::from(settings.public_age_hours) * 3_600_000 }
}

fn meanings(settings: &Settings, kinds: &Kinds, problems: &mut Problems) -> BTreeMap<String, Meaning> {
    let mut out: BTreeMap<String, Meaning> = settings.touch_events.iter().map(|name| (name.clone(), Meaning::Touch)).collect();
    for (event, name) in &settings.milestone_events {
        let field = format!("milestone_events.{event}");
        let kind = problems.check(kinds.milestone(name), &field, &kinds.no_milestone());
        if out.insert(event.clone(), Meaning::Milestone(kind.unwrap_or(name).to_owned())).is_some() {
            problems.at(field, "is also listed in touch_events; an event is one or the other");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Rule;

    #[test]
    fn defaults_compile_and_survive_toml() {
        assert!(Settings::default().compiled(&Kinds::default()).is_ok());
        let text = toml::to_string(&Settings::default()).unwrap();
        assert_eq!(toml::from_str::<Settings>(&text).unwrap(), Settings::default());
        assert!(toml::from_str::<Settings>("time_zome = 'UTC'").is_err());
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let settings = Settings {
            time_zone: "Mars".into(),
            phone_region: "XX".into(),
            currency: "RMB".into(),
            milestone_events: [("Signed Up".to_owned(), "no_such".to_owned())].into(),
            channel_rules: vec![Rule::default()],
            ..Settings::default()
        };
        let kinds = Kinds::new(vec!["badge".into(), "url".into()], Vec::new());
        let problems = settings.compiled(&kinds).unwrap_err();
        let fields: Vec<&str> = problems.0.iter().map(|(key, _)| key.as_str()).collect();
        let expected = [
            "time_zone",
            "phone_region",
            "currency",
            "kinds.identifiers[1]",
            "milestone_events.Signed Up",
            "milestone_events.Signed Up",
            "channel_rules[0].channel",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_mapping_may_name_any_field_of_a_record() {
        let mapped = |kind: &str, milestone: &str| {
            let text = format!(
                "[webhook.mappings.mycrm.stage.fields]\ntimestamp = '$.t'\nkind = '{kind}'\nmilestone = '{milestone}'\n\
                 [webhook.mappings.mycrm.stage]\neach = '$'"
            );
            toml::from_str::<Settings>(&text).unwrap().compiled(&Kinds::default()).map(drop)
        };
        for kind in crate::native::kind::names() {
            assert_eq!(mapped(kind, "mql"), Ok(()), "{kind}");
        }
        assert_eq!(mapped("milestone", "MQL"), Ok(()));
        let refused = mapped("milestone", "qml").unwrap_err().to_string();
        assert!(refused.contains("mql, sal"), "{refused}");
    }
}
