//! From the settings to the rules of decoding, with all that is wrong with them at once.

use std::collections::BTreeMap;

use iso_currency::Currency;
use jiff::tz::TimeZone;
use tributary_proto::kind;

use crate::bots::Bots;
use crate::channel::{ChannelFile, Channels};
use crate::click_ids;
use crate::milestone::VOCABULARY;
use crate::money;
use crate::native::record::is_field;
use crate::normalise::IdentifierRules;
use crate::normalise::blocked::BlockedValues;
use crate::normalise::phone::Region;
use crate::rules::{Meaning, Rules};
use crate::settings::{Problem, Settings, SettingsError};
use crate::time::Times;
use crate::touch::TouchRules;
use crate::webhook::PROVIDERS;
use crate::webhook::rules::WebhookRules;

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into() });
    }

    fn check<T>(&mut self, found: Option<T>, field: &str, message: &str) -> Option<T> {
        if found.is_none() {
            self.add(field, message);
        }
        found
    }
}

/// Compiles settings.
///
/// # Errors
/// All that is wrong with them.
pub(crate) fn compile(settings: &Settings) -> Result<Rules, SettingsError> {
    let mut problems = Problems::default();
    let zone = problems.check(TimeZone::get(&settings.time_zone).ok(), "time_zone", "not an IANA zone such as Asia/Shanghai");
    let region = Region::parse(&settings.phone_region);
    let region = problems.check(region, "phone_region", "not an ISO 3166-1 alpha-2 code such as CN");
    let currency: Option<Currency> =
        problems.check(money::currency(&settings.currency).ok(), "currency", "not an ISO 4217 code such as CNY");
    check_kinds(&settings.identifier_kinds, &mut problems);
    let milestone_kinds = milestone_kinds(settings, &mut problems);
    let meanings = meanings(settings, &milestone_kinds, &mut problems);
    let identifiers = region
        .map(|region| IdentifierRules::new(&settings.identifier_kinds, BlockedValues::new(&settings.blocked_values), region));
    check_scopes("wechat_appids", &settings.wechat_appids, &mut problems);
    let rules = identifiers.as_ref();
    let webhook = rules.and_then(|rules| webhook(settings, rules, &milestone_kinds, &mut problems));
    let channels = channels(settings, &mut problems);
    let own_sites = settings.own_sites.iter().map(|site| site.trim().trim_matches('.').to_lowercase()).collect();
    match (zone, identifiers, currency, channels, webhook) {
        (Some(zone), Some(identifiers), Some(currency), Some(channels), Some(webhook)) if problems.0.is_empty() => Ok(Rules {
            times: Times { zone, future_ms_max: i64::from(settings.max_future_skew_hours) * 3_600_000 },
            currency,
            milestone_kinds,
            bots: Bots::new(&settings.bot_agents),
            meanings,
            touches: TouchRules { click_ids: click_ids::are_identifiers(&channels, &identifiers), channels, own_sites },
            identifiers,
            webhook,
        }),
        _ => Err(SettingsError { problems: problems.0 }),
    }
}

/// Scopes of identifiers by the account that they are of.
fn check_scopes(field: &str, scopes: &BTreeMap<String, String>, problems: &mut Problems) {
    for (account, _) in scopes.iter().filter(|(_, scope)| scope.trim().is_empty()) {
        problems.add(format!("{field}.{account}"), "must not be blank");
    }
}

/// What is compiled of the webhooks' settings.
fn webhook(
    settings: &Settings,
    rules: &IdentifierRules,
    milestone_kinds: &[String],
    problems: &mut Problems,
) -> Option<WebhookRules> {
    check_scopes("webhook.wechat_open_platforms", &settings.webhook.wechat_open_platforms, problems);
    check_scopes("webhook.wecom_scopes", &settings.webhook.wecom_scopes, problems);
    for provider in PROVIDERS.iter().filter(|provider| settings.webhook.mappings.contains_key(provider.name)) {
        problems.add(format!("webhook.mappings.{}", provider.name), "is a built-in provider");
    }
    let compiled = WebhookRules::new(&settings.webhook, &settings.wechat_appids, rules, milestone_kinds);
    compiled.map_err(|wrong| wrong.into_iter().for_each(|(at, what)| problems.add(format!("webhook.{at}"), what))).ok()
}

fn channels(settings: &Settings, problems: &mut Problems) -> Option<Channels> {
    let file = match settings.channels_file.as_str() {
        "" => None,
        path => match ChannelFile::open(path) {
            Ok(file) => Some(file),
            Err(problem) => {
                problems.add("channels_file", problem);
                return None;
            }
        },
    };
    let channels = Channels::new(&settings.channel_rules, &settings.sites, file.as_ref());
    channels.map_err(|found| found.into_iter().for_each(|(field, message)| problems.add(field, message))).ok()
}

fn is_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= 64 && text.bytes().all(known) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

const NAME_EXPECTED: &str = "expected lower-case letters, digits and _, beginning with a letter, at most 64";

fn check_kinds(kinds: &[String], problems: &mut Problems) {
    for (at, name) in kinds.iter().enumerate() {
        let field = format!("identifier_kinds[{at}]");
        if !is_name(name) {
            problems.add(&*field, NAME_EXPECTED);
        }
        let built_in = kind::STRONG.contains(&name.as_str()) || kind::is_device(name) || kind::is_account(name);
        if built_in || is_field(name) {
            problems.add(&*field, "is a built-in kind or a field of the native record");
        }
        if kinds.iter().take(at).any(|earlier| earlier == name) {
            problems.add(field, "is listed twice");
        }
    }
}

fn milestone_kinds(settings: &Settings, problems: &mut Problems) -> Vec<String> {
    let mut kinds: Vec<String> = VOCABULARY.map(str::to_owned).to_vec();
    for (at, name) in settings.milestone_kinds.iter().enumerate() {
        if !is_name(name) {
            problems.add(format!("milestone_kinds[{at}]"), NAME_EXPECTED);
        } else if kinds.contains(name) {
            problems.add(format!("milestone_kinds[{at}]"), "is a built-in kind or listed twice");
        } else {
            kinds.push(name.clone());
        }
    }
    kinds
}

fn meanings(settings: &Settings, milestone_kinds: &[String], problems: &mut Problems) -> BTreeMap<String, Meaning> {
    let mut out: BTreeMap<String, Meaning> = settings.touch_events.iter().map(|name| (name.clone(), Meaning::Touch)).collect();
    for (event, kind) in &settings.milestone_events {
        let field = format!("milestone_events.{event}");
        if !milestone_kinds.contains(kind) {
            problems.add(&*field, "is not a milestone kind; declare it in milestone_kinds");
        }
        if out.insert(event.clone(), Meaning::Milestone(kind.clone())).is_some() {
            problems.add(field, "is also listed in touch_events; an event is one or the other");
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
        assert!(compile(&Settings::default()).is_ok());
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
            identifier_kinds: vec!["Badge".into(), "email".into(), "url".into(), "a".into(), "a".into()],
            milestone_kinds: vec!["mql".into()],
            milestone_events: [("Signed Up".to_owned(), "no_such".to_owned())].into(),
            channel_rules: vec![Rule::default()],
            ..Settings::default()
        };
        let error = compile(&settings).unwrap_err();
        let fields: Vec<&str> = error.problems.iter().map(|problem| problem.field.as_str()).collect();
        let expected = [
            "time_zone",
            "phone_region",
            "currency",
            "identifier_kinds[0]",
            "identifier_kinds[1]",
            "identifier_kinds[2]",
            "identifier_kinds[4]",
            "milestone_kinds[0]",
            "milestone_events.Signed Up",
            "milestone_events.Signed Up",
            "channel_rules[0].channel",
        ];
        assert_eq!(fields, expected);
    }
}
