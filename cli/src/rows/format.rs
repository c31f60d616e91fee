//! Cost exports of advertising networks: which of their columns are which fields of a `spend` record. A format is a file of `formats/` and a
//! row below.

use std::collections::BTreeMap;

use serde::Deserialize;
use tributary_ingest::money;

/// The built-in formats: name and text.
const BUILT_IN: [(&str, &str); 6] = [
    ("google_ads", include_str!("../../formats/google_ads.toml")),
    ("meta_ads", include_str!("../../formats/meta_ads.toml")),
    ("linkedin_ads", include_str!("../../formats/linkedin_ads.toml")),
    ("baidu_ads", include_str!("../../formats/baidu_ads.toml")),
    ("tencent_ads", include_str!("../../formats/tencent_ads.toml")),
    ("ocean_engine", include_str!("../../formats/ocean_engine.toml")),
];

/// The order of a date's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DateOrder {
    /// Year, month, day.
    #[default]
    Ymd,
    /// Month, day, year.
    Mdy,
}

/// A format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Format {
    #[serde(skip)]
    name: String,
    /// What it is, and how the network is asked for it.
    about: String,
    /// Fields that all rows have.
    constants: BTreeMap<String, String>,
    /// The names that a field's column may have, in any language; without case, and without what they have in parentheses.
    columns: BTreeMap<String, Vec<String>>,
    /// Columns that tell rows of a day and campaign apart: ad groups, accounts.
    apart: Vec<String>,
    /// How rows of sums begin, in any cell.
    totals: Vec<String>,
    date_order: DateOrder,
}

/// A format for a file's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    format: Format,
    /// Fields and the places of their columns.
    fields: Vec<(String, usize)>,
    apart: Vec<usize>,
    constants: Vec<(String, String)>,
}

impl Format {
    /// The names of all formats, each with what it is.
    pub fn all() -> impl Iterator<Item = (&'static str, String)> {
        BUILT_IN.iter().map(|(name, text)| (*name, toml::from_str::<Self>(text).map(|format| format.about).unwrap_or_default()))
    }

    /// The format of a name.
    ///
    /// # Errors
    /// The names that there are.
    pub fn find(name: &str) -> Result<Self, String> {
        let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            return Err(format!("no format of this name; there are {}", names.join(", ")));
        };
        let format: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self { name: (*name).to_owned(), ..format })
    }

    /// What a header lacks that this format does not open.
    pub fn missing(&self) -> String {
        let names = |field: &str| self.columns.get(field).map(|names| names.join(" | ")).unwrap_or_default();
        let fields = ["day", "campaign", "value"].map(names);
        format!("no row has the columns of {} ({}); export the report by day", self.name, fields.join(", "))
    }

    /// The format for a header; `None` where the day, the cost or the campaign is missing.
    pub fn open(&self, header: &[String]) -> Option<Opened> {
        let plain: Vec<String> = header.iter().map(|name| plain(name)).collect();
        let place = |names: &[String]| names.iter().find_map(|name| plain.iter().position(|known| *known == self::plain(name)));
        let fields: Vec<(String, usize)> =
            self.columns.iter().filter_map(|(field, names)| Some((field.clone(), place(names)?))).collect();
        let of = |field: &str| fields.iter().find(|(known, _)| known == field).map(|(_, at)| *at);
        let (_, value, _) = (of("day")?, of("value")?, of("campaign")?);
        let mut constants = self.constants.clone();
        if of("currency").is_some() {
            constants.remove("currency");
        } else if let Some(code) = header.get(value).and_then(|name| currency_of(name)) {
            constants.insert("currency".to_owned(), code);
        }
        let apart = self.apart.iter().filter_map(|name| place(std::slice::from_ref(name))).collect();
        Some(Opened { format: self.clone(), fields, apart, constants: constants.into_iter().collect() })
    }
}

impl Opened {
    /// The header of the rows that [`Self::row`] gives.
    pub fn header(&self) -> Vec<String> {
        let fields = self.fields.iter().map(|(field, _)| field.clone());
        fields.chain(self.constants.iter().map(|(field, _)| field.clone())).chain(["event_id".to_owned()]).collect()
    }

    /// The file's own place of a field's column.
    pub fn place(&self, field: &str) -> Option<usize> {
        self.fields.iter().find(|(known, _)| known == field).map(|(_, at)| *at)
    }

    /// The cells of a row; `None` of one that holds sums, or nothing of a day.
    pub fn row(&self, cells: &[String]) -> Option<Vec<String>> {
        let cell = |at: usize| cells.get(at).map(|cell| cell.trim()).unwrap_or_default();
        let is_total = |cell: &String| {
            let cell = cell.trim().to_lowercase();
            self.format.totals.iter().any(|total| cell.starts_with(total))
        };
        let day = self.place("day").map(cell).unwrap_or_default();
        if day.is_empty() || cells.iter().any(is_total) {
            return None;
        }
        let mut out = Vec::new();
        let mut id = vec![self.format.name.clone()];
        for (field, at) in &self.fields {
            let text = match field.as_str() {
                "day" => self.day(cell(*at)),
                "value" => amount(cell(*at)),
                _ => cell(*at).to_owned(),
            };
            if field != "value" {
                id.push(text.clone());
            }
            out.push(text);
        }
        id.extend(self.apart.iter().map(|at| cell(*at).to_owned()));
        out.extend(self.constants.iter().map(|(_, value)| value.clone()));
        // The same day, exported anew, takes the place of what was known of it.
        out.push(id.join(":"));
        Some(out)
    }

    fn day(&self, text: &str) -> String {
        // Some say the hour of the day, too.
        let date = text.split_whitespace().next().unwrap_or(text);
        let parts: Vec<&str> = date.split('/').collect();
        match (self.format.date_order, parts.as_slice()) {
            (DateOrder::Mdy, [month, day, year]) => format!("{year}-{month:0>2}-{day:0>2}"),
            // Mar 1, 2026.
            _ if !text.starts_with(|c: char| c.is_ascii_digit()) => text.to_owned(),
            _ => date.to_owned(),
        }
    }
}

/// A column's name without case, white space, and what it has in parentheses.
fn plain(name: &str) -> String {
    let name = name.trim_start_matches('\u{feff}').replace('（', "(").replace('）', ")");
    let mut out = String::new();
    let mut depth = 0usize;
    for c in name.to_lowercase().chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 && !c.is_whitespace() => out.push(c),
            _ => {}
        }
    }
    out
}

/// The currency that a column's name has in parentheses: `Amount spent (USD)`.
fn currency_of(name: &str) -> Option<String> {
    let (_, inside) = name.split_once('(')?;
    let code = inside.trim().get(..3)?;
    let is_code = code.bytes().all(|byte| byte.is_ascii_uppercase());
    (is_code && money::currency(code).is_ok()).then(|| code.to_owned())
}

/// An amount without a currency's sign and the commas between thousands; a dash is nothing.
fn amount(text: &str) -> String {
    let bare = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '¥' | '￥' | '$' | '€' | '£' | '元'));
    if matches!(bare, "" | "-" | "--") {
        return "0".to_owned();
    }
    let (whole, decimals) = bare.split_once('.').unwrap_or((bare, ""));
    let groups: Vec<&str> = whole.split(',').collect();
    let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    let grouped = groups.len() > 1
        && groups.iter().all(digits)
        && groups.iter().skip(1).all(|group| group.len() == 3)
        && groups.first().is_some_and(|first| (1..=3).contains(&first.len()));
    match (grouped, decimals) {
        (true, "") => groups.concat(),
        (true, decimals) => format!("{}.{decimals}", groups.concat()),
        (false, _) => bare.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_read_and_says_what_it_is() {
        for (name, about) in Format::all() {
            let format = Format::find(name).unwrap();
            assert!(!about.is_empty() && format.constants.get("kind").is_some_and(|kind| kind == "spend"), "{name}");
            assert!(["day", "value", "campaign"].iter().all(|field| format.columns.contains_key(*field)), "{name}");
        }
        assert!(Format::find("no_such").unwrap_err().contains("google_ads"));
    }

    #[test]
    fn amounts_names_and_currencies() {
        for (text, expected) in [
            ("1,234.56", "1234.56"),
            ("¥1,234", "1234"),
            ("12.50", "12.50"),
            ("--", "0"),
            ("1,23", "1,23"),
            ("1.234,50", "1.234,50"),
        ] {
            assert_eq!(amount(text), expected, "{text}");
        }
        assert_eq!(plain("消费（元）"), "消费");
        assert_eq!(plain("Start Date (in UTC)"), "startdate");
        assert_eq!(currency_of("Amount spent (USD)").as_deref(), Some("USD"));
        assert_eq!(currency_of("Cost (all)"), None);
    }
}
