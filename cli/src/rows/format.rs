//! Cost exports of advertising networks: maps their columns to the fields of a `spend` record. A format is a file of `formats/` and a row
//! below.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use tributary_ingest::money::{self, OfColumn};
use tributary_proto::{Decimal, Hash128};

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

/// The format of an advertising platform's cost export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Format {
    #[serde(skip)]
    name: String,
    /// A description, and how to get the export.
    about: String,
    /// Fields with the same value in all rows.
    constants: BTreeMap<String, String>,
    /// By field, the names that its column may have, in any language; without case and parentheses.
    columns: BTreeMap<String, Vec<String>>,
    /// Columns that distinguish rows of the same day and campaign: ad groups, accounts.
    apart: Vec<String>,
    /// Columns of amounts given back, to be subtracted from a cost that is not in `net`.
    less: Vec<String>,
    /// Columns of a cost from which that was already subtracted.
    net: Vec<String>,
    /// How rows of sums begin, in any cell.
    totals: Vec<String>,
    date_order: DateOrder,
}

/// A format applied to a file's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    format: Format,
    /// Fields and the positions of their columns.
    fields: Vec<(String, usize)>,
    apart: Vec<usize>,
    less: Option<usize>,
    constants: Vec<(String, String)>,
}

impl Format {
    /// The names and descriptions of all formats.
    pub fn all() -> impl Iterator<Item = (&'static str, String)> {
        BUILT_IN.iter().map(|(name, text)| (*name, toml::from_str::<Self>(text).map(|format| format.about).unwrap_or_default()))
    }

    /// The format with this name.
    ///
    /// # Errors
    /// The existing names.
    pub fn find(name: &str) -> Result<Self, String> {
        let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            return Err(format!("no format of this name; there are {}", names.join(", ")));
        };
        let format: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self { name: (*name).to_owned(), ..format })
    }

    /// The error for a header that lacks required columns.
    pub fn missing(&self) -> String {
        let names = |field: &str| self.columns.get(field).map(|names| names.join(" | ")).unwrap_or_default();
        let fields = ["day", "campaign", "value"].map(names);
        format!("no row has the columns of {} ({}); export the report by day", self.name, fields.join(", "))
    }

    /// Applies the format to a header; `None` if the day, the cost or the campaign is missing.
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
        } else if let Some(name) = header.get(value) {
            // A currency that cannot be read is passed on: then the amounts are refused, too.
            match money::of_column(name, constants.get("currency").map(String::as_str)) {
                OfColumn::Currency(text) | OfColumn::Unclear(text) => drop(constants.insert("currency".to_owned(), text)),
                OfColumn::Nothing => {}
            }
        }
        let apart = self.apart.iter().filter_map(|name| place(std::slice::from_ref(name))).collect();
        let is_net = header.get(value).is_some_and(|name| self.net.iter().any(|net| self::plain(net) == self::plain(name)));
        let less = place(&self.less).filter(|_| !is_net);
        Some(Opened { format: self.clone(), fields, apart, less, constants: constants.into_iter().collect() })
    }
}

impl Opened {
    /// The header for the rows that [`Self::row`] returns.
    pub fn header(&self) -> Vec<String> {
        let fields = self.fields.iter().map(|(field, _)| field.clone());
        fields.chain(self.constants.iter().map(|(field, _)| field.clone())).chain(["event_id".to_owned()]).collect()
    }

    /// The position of a field's column in the file.
    pub fn place(&self, field: &str) -> Option<usize> {
        self.fields.iter().find(|(known, _)| known == field).map(|(_, at)| *at)
    }

    /// The cells of a row; `None` for a row of sums, or without a day.
    pub fn row(&self, cells: &[String]) -> Option<Vec<String>> {
        let cell = |at: usize| cells.get(at).map(|cell| cell.trim()).unwrap_or_default();
        if self.is_sum(cells) {
            return None;
        }
        let mut out = Vec::new();
        let mut id = vec![self.format.name.clone()];
        for (field, at) in &self.fields {
            let text = match field.as_str() {
                "day" => self.day(cell(*at)),
                "value" => net(amount(cell(*at)), self.less.map(cell)),
                // A dash stands for an empty cell, such as the campaign of a refund to the whole account.
                _ if is_dash(cell(*at)) => String::new(),
                _ => cell(*at).to_owned(),
            };
            if field != "value" {
                id.push(text.clone());
            }
            out.push(text);
        }
        id.extend(self.apart.iter().map(|at| cell(*at).to_owned()));
        out.extend(self.constants.iter().map(|(_, value)| value.clone()));
        // The same day, exported again, replaces the earlier rows.
        out.push(id.join(":"));
        Some(out)
    }

    /// Whether it is a row of sums: it says so in the column of the day, or in any cell if it has no day. A campaign's name may look like a
    /// sum.
    fn is_sum(&self, cells: &[String]) -> bool {
        let is_total = |cell: &str| {
            let cell = cell.trim().to_lowercase();
            self.format.totals.iter().any(|total| cell.starts_with(total))
        };
        let day = self.place("day").and_then(|at| cells.get(at)).map(|cell| cell.trim()).unwrap_or_default();
        let has_day = day.chars().any(char::is_numeric);
        day.is_empty() || is_total(day) || (!has_day && cells.iter().any(|cell| is_total(cell)))
    }

    fn day(&self, text: &str) -> String {
        // Some exports have the hour, too.
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

/// Counts over the rows of an export.
#[derive(Debug, Default)]
pub struct Survey {
    /// Rows with a day.
    pub rows: u64,
    sums: u64,
    /// Rows with the id of an earlier one.
    again: u64,
    ids: BTreeSet<u64>,
}

impl Survey {
    /// Adds a row.
    pub fn see(&mut self, opened: &Opened, cells: &[String]) {
        let Some(row) = opened.row(cells) else {
            self.sums += 1;
            return;
        };
        self.rows += 1;
        let id = row.last().map(|id| Hash128::of(id.as_bytes()).head());
        self.again += u64::from(id.is_some_and(|id| !self.ids.insert(id)));
    }

    /// Remarks on the export, in words.
    pub fn told(&self) -> Vec<String> {
        let sums = (self.sums > 0).then(|| format!("{} rows of sums or without a day are left out", self.sums));
        let again = (self.again > 0).then(|| {
            let what = "rows have the same day and campaign as an earlier one, and replace it";
            format!("{} {what}: remove the breakdown (ad group, network) from the export, or add a column for it", self.again)
        });
        sums.into_iter().chain(again).collect()
    }
}

/// A column's name without case, white space and parentheses.
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

fn is_dash(text: &str) -> bool {
    matches!(text, "-" | "--")
}

/// A cost minus the amount given back; if one cannot be read, the cost is unchanged and refused later.
fn net(cost: String, given_back: Option<&str>) -> String {
    let Some(given_back) = given_back.map(amount).filter(|text| text != "0") else { return cost };
    let less = || {
        let (cost, back) = (Decimal::parse(&cost)?, Decimal::parse(&given_back)?);
        let scale = cost.scale.max(back.scale);
        let digits = |of: Decimal| of.digits.checked_mul(10_i64.checked_pow(scale - of.scale)?);
        Some(Decimal { digits: digits(cost)?.checked_sub(digits(back)?)?, scale })
    };
    less().map_or_else(|| format!("{cost} - {given_back}"), |left| left.to_string())
}

/// An amount without currency sign and commas; a dash is empty. Negative amounts were given back.
fn amount(text: &str) -> String {
    let bare = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '¥' | '￥' | '$' | '€' | '£' | '元'));
    if bare.is_empty() || is_dash(bare) {
        return "0".to_owned();
    }
    let in_parentheses = bare.strip_prefix('(').and_then(|bare| bare.strip_suffix(')'));
    if let Some(unsigned) = bare.strip_prefix(['-', '\u{2212}']).or(in_parentheses) {
        return format!("-{}", amount(unsigned));
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
    fn every_format_is_read_and_recognised() {
        for (name, about) in Format::all() {
            let format = Format::find(name).unwrap();
            assert!(!about.is_empty() && format.constants.get("kind").is_some_and(|kind| kind == "spend"), "{name}");
            assert!(["day", "value", "campaign"].iter().all(|field| format.columns.contains_key(*field)), "{name}");
        }
        assert!(Format::find("no_such").unwrap_err().contains("google_ads"));
    }

    #[test]
    fn a_total_row_is_distinguished_from_a_campaign_of_that_name() {
        let header: Vec<String> = ["Campaign", "Day", "Cost"].map(str::to_owned).to_vec();
        let opened = Format::find("google_ads").unwrap().open(&header).unwrap();
        for (cells, is_row) in [
            (["Total recall", "2026-03-01", "5"], true),
            (["Total: Campaigns", "--", "5"], false),
            (["Total: Account", "", "5"], false),
            (["", "Total: Account", "5"], false),
            (["总计", " --", "5"], false),
            (["Brand", "Mar 1, 2026", "5"], true),
            (["Brand", "--", "5"], true),
        ] {
            assert_eq!(opened.row(&cells.map(str::to_owned)).is_some(), is_row, "{cells:?}");
        }
    }

    #[test]
    fn what_was_given_back_is_taken_from_the_cost_once() {
        let value = |header: &[&str], cells: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let opened = Format::find("google_ads").unwrap().open(&owned(header)).unwrap();
            let at = opened.header().iter().position(|field| field == "value").unwrap();
            opened.row(&owned(cells)).unwrap()[at].clone()
        };
        let row = ["2026-03-01", "Brand", "10.00", "2.50", "7.50"];
        assert_eq!(value(&["Day", "Campaign", "Cost"], &row), "10.00");
        assert_eq!(value(&["Day", "Campaign", "Cost", "Credited amount"], &row), "7.5");
        assert_eq!(value(&["Day", "Campaign", "Cost", "Credited amount", "Adjusted cost"], &row), "7.50");
        assert_eq!(value(&["Day", "Campaign", "Cost", "Clicks", "Adjusted cost"], &row), "7.50");
    }

    #[test]
    fn amounts_names_and_currencies() {
        for (text, expected) in [
            ("1,234.56", "1234.56"),
            ("¥1,234", "1234"),
            ("12.50", "12.50"),
            ("--", "0"),
            ("-1,234.56", "-1234.56"),
            ("-$5", "-5"),
            ("(1,200.00)", "-1200.00"),
            ("1,23", "1,23"),
            ("1.234,50", "1.234,50"),
        ] {
            assert_eq!(amount(text), expected, "{text}");
        }
        for (cost, back, expected) in [
            ("12.50", None, "12.50"),
            ("12.50", Some("0.00"), "12.5"),
            ("12.50", Some("--"), "12.50"),
            ("1234.56", Some("1,200.06"), "34.50"),
            ("5", Some("7.5"), "-2.5"),
            ("0", Some("$3"), "-3"),
            ("5", Some("n/a"), "5 - n/a"),
        ] {
            assert_eq!(net(cost.to_owned(), back), expected, "{cost} {back:?}");
        }
        assert_eq!(plain("消费（元）"), "消费");
        assert_eq!(plain("Start Date (in UTC)"), "startdate");
    }

    #[test]
    fn a_cost_is_in_the_unit_of_its_column() {
        for (format, header, currency) in [
            ("meta_ads", ["Campaign name", "Day", "Amount spent (USD)"], Some("USD")),
            ("google_ads", ["Campaign", "Day", "Cost (all)"], None),
            ("baidu_ads", ["推广计划", "日期", "消费（元）"], Some("CNY")),
            ("baidu_ads", ["推广计划", "日期", "消费（万元）"], Some("CNY 万元")),
        ] {
            let opened = Format::find(format).unwrap().open(&header.map(str::to_owned)).unwrap();
            let found = opened.constants.iter().find(|(field, _)| field == "currency").map(|(_, text)| text.as_str());
            assert_eq!(found, currency, "{header:?}");
        }
    }
}
