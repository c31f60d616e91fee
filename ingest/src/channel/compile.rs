//! Compiles the rule data to the form that touches are matched with.

use std::collections::BTreeMap;

use tributary_proto::Hash128;

use super::data::{self, ChannelData, Rule, Site};
use super::file::ChannelFile;
use super::matcher::FieldMatcher;
use super::{Channels, Compiled, FIELDS, Known, Sites};

/// The built-in data.
const BUILT_IN: [(&str, &str); 3] = [
    ("built-in channels.toml", include_str!("../../rules/channels.toml")),
    ("built-in sites.toml", include_str!("../../rules/sites.toml")),
    ("built-in sites_listed.toml", include_str!("../../rules/sites_listed.toml")),
];

/// The setting that names a file of rules.
pub(crate) const FILE_SETTING: &str = "channels_file";

/// Errors: the setting and the reason of each.
type Problems = Vec<(String, String)>;

/// Where a rule or site is defined: its setting, and the place that is shown to people.
struct Place {
    setting: String,
    place: String,
}

impl Place {
    fn of_setting(list: &str, at: usize) -> Self {
        let place = format!("{list}[{at}]");
        Self { setting: place.clone(), place }
    }

    fn of_file(place: String) -> Self {
        Self { setting: FILE_SETTING.to_owned(), place }
    }

    fn problem(&self, field: &str, why: String) -> (String, String) {
        if self.setting == self.place {
            return (format!("{}.{field}", self.place), why);
        }
        (self.setting.clone(), format!("{}: {field}: {why}", self.place))
    }
}

impl Channels {
    /// Rules in order of precedence: `rules` and `sites` of the configuration, then the operator's file, then the built-in data.
    ///
    /// # Errors
    /// All errors, each with its setting.
    pub fn new(rules: &[Rule], sites: &[Site], file: Option<&ChannelFile>) -> Result<Self, Problems> {
        let digest = digest(rules, sites, file);
        let built_in: Result<Vec<ChannelFile>, String> =
            BUILT_IN.iter().map(|(name, text)| ChannelFile::parse(name, (*text).to_owned())).collect();
        let built_in = built_in.map_err(|why| vec![(FILE_SETTING.to_owned(), why)])?;
        let mut problems = Problems::new();
        let mut data = ChannelData::default();
        for file in file.into_iter().chain(&built_in) {
            data.extend(file.data.clone());
        }
        let sites = all_sites(sites, file.into_iter().chain(&built_in), &mut problems);
        let mut fields: [FieldMatcher; FIELDS] = Default::default();
        let mut compiled = Vec::new();
        let own = rules.iter().enumerate().map(|(at, rule)| (Place::of_setting("channel_rules", at), rule));
        let built_in = built_in.iter().filter(|_| !file.is_some_and(|file| file.data.without_built_in_rules));
        let of_files = file.into_iter().chain(built_in).flat_map(rules_of);
        for (place, rule) in own.chain(of_files) {
            match compile(rule, &data, &sites, &mut fields, &place) {
                Ok(rule) => compiled.push(rule),
                Err((field, why)) => problems.push(place.problem(field, why)),
            }
        }
        problems.extend(wrong_click_ids(&data));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { sites, parameters: parameters(&data), click_ids: data.click_id, fields, rules: compiled, digest })
    }
}

/// A hash of everything that the channel rules are compiled from.
fn digest(rules: &[Rule], sites: &[Site], file: Option<&ChannelFile>) -> Hash128 {
    let built_in = BUILT_IN.iter().map(|(_, text)| (*text).to_owned());
    // Settings can always be written as JSON, so this does not fail.
    let own = [serde_json::to_string(rules).unwrap_or_default(), serde_json::to_string(sites).unwrap_or_default()];
    let texts: Vec<String> = built_in.chain(own).chain(file.map(|file| file.text().to_owned())).collect();
    Hash128::of(texts.join("\u{1f}").as_bytes())
}

fn rules_of(file: &ChannelFile) -> impl Iterator<Item = (Place, &Rule)> {
    file.data.rule.iter().map(|rule| (Place::of_file(file.place(rule.span())), rule.get_ref()))
}

fn all_sites<'a>(own: &[Site], files: impl Iterator<Item = &'a ChannelFile>, problems: &mut Problems) -> Sites {
    let mut sites = Sites::default();
    let mut add = |site: &Site, place: Place| {
        if let Err((field, why)) = sites.add(site) {
            problems.push(place.problem(field, why));
        }
    };
    for (at, site) in own.iter().enumerate() {
        add(site, Place::of_setting("sites", at));
    }
    for file in files {
        for site in &file.data.site {
            add(site.get_ref(), Place::of_file(file.place(site.span())));
        }
        for (category, domain) in file.data.domains.iter().flat_map(|(of, list)| list.iter().map(move |domain| (of, domain))) {
            let site =
                Site { name: domain.clone(), category: category.clone(), domains: vec![domain.clone()], ..Site::default() };
            add(&site, Place::of_file(format!("{}: domains.{category}", file.name())));
        }
    }
    sites
}

fn wrong_click_ids(data: &ChannelData) -> Problems {
    let wrong = data.click_id.iter().filter(|id| id.parameter.is_empty() || (id.source.is_empty() && id.medium.is_empty()));
    let problem = |_| (FILE_SETTING.to_owned(), "click_id: needs a parameter, and a source or a medium".to_owned());
    wrong.map(problem).collect()
}

/// The meaning of each parameter; of several definitions of a name the first counts.
fn parameters(data: &ChannelData) -> BTreeMap<String, Known> {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for (field, names) in data.parameters.fields() {
        for (precedence, name) in names.iter().enumerate() {
            known.entry(name.to_lowercase()).or_default().field.get_or_insert((field, precedence));
        }
    }
    for (at, id) in data.click_id.iter().enumerate() {
        known.entry(id.parameter.to_lowercase()).or_default().click_id.get_or_insert(at);
    }
    for name in &data.parameters.other {
        known.entry(name.to_lowercase()).or_default();
    }
    known
}

fn compile(
    rule: &Rule,
    data: &ChannelData,
    sites: &Sites,
    fields: &mut [FieldMatcher; FIELDS],
    place: &Place,
) -> Result<Compiled, (&'static str, String)> {
    if rule.channel.trim().is_empty() {
        return Err(("channel", "must not be blank".into()));
    }
    let mut conditions = [None; FIELDS];
    let wanted = [
        ("source", &rule.source),
        ("medium", &rule.medium),
        ("campaign", &rule.campaign),
        ("touch_type", &rule.touch_type),
        ("input", &rule.input),
    ];
    for ((condition, field), (name, patterns)) in conditions.iter_mut().zip(fields).zip(wanted) {
        if let Some(patterns) = patterns {
            let patterns = data::expand(patterns, &data.sets).map_err(|why| (name, why))?;
            *condition = Some(field.condition(&patterns).map_err(|why| (name, why))?);
        }
    }
    let mut categories = 0;
    for category in &rule.source_site {
        categories |=
            sites.category_bit(category).ok_or_else(|| ("source_site", format!("no site is of category `{category}`")))?;
    }
    let campaign_regex = match &rule.campaign_regex {
        None => None,
        Some(text) => {
            let regex = regex::RegexBuilder::new(text).case_insensitive(true).size_limit(1 << 20).build();
            Some(regex.map_err(|_| ("campaign_regex", "not a regular expression, or too large".to_owned()))?)
        }
    };
    let channel = rule.channel.trim().to_owned();
    Ok(Compiled { channel, conditions, categories, campaign_regex, place: place.place.clone(), wording: wording(rule) })
}

/// A rule's conditions as text.
fn wording(rule: &Rule) -> String {
    let source_site = (!rule.source_site.is_empty()).then_some(&rule.source_site);
    let lists = [
        ("source_site", source_site),
        ("source", rule.source.as_ref()),
        ("medium", rule.medium.as_ref()),
        ("campaign", rule.campaign.as_ref()),
        ("touch_type", rule.touch_type.as_ref()),
        ("input", rule.input.as_ref()),
    ];
    let mut parts: Vec<String> = Vec::new();
    for (name, list) in lists {
        if let Some(list) = list {
            let quoted = list.iter().map(|text| if text.is_empty() { "\"\"" } else { text }).collect::<Vec<_>>();
            parts.push(format!("{name} = {}", quoted.join(" | ")));
        }
    }
    parts.extend(rule.campaign_regex.as_ref().map(|regex| format!("campaign ~ {regex}")));
    parts.join(", ")
}
