//! A mapping file: which columns of a table are which fields.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use tributary_ingest::money::{OfColumn, of_column};

/// Largest mapping file, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Fields with amounts, and the field of their currency.
const AMOUNTS: [&str; 2] = ["value", "refund"];
const CURRENCY: &str = "currency";

/// `[columns]`: name in the header = field, empty for a column that is left out. `[constants]`: field = value for all rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    columns: BTreeMap<String, String>,
    constants: BTreeMap<String, String>,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// The error, with path and line.
    pub fn open(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        match fs::metadata(path) {
            Err(error) => return Err(format!("{shown}: cannot be read: {error}")),
            Ok(found) if found.len() > FILE_BYTES_MAX => return Err(format!("{shown}: is larger than {FILE_BYTES_MAX} bytes")),
            Ok(_) => {}
        }
        let text = fs::read_to_string(path).map_err(|error| format!("{shown}: cannot be read: {error}"))?;
        toml::from_str(&text).map_err(|error| {
            let start = error.span().unwrap_or_default().start;
            let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
            format!("{shown}:{line}: {}", error.message())
        })
    }

    /// Whether it maps any columns.
    pub fn names_columns(&self) -> bool {
        !self.columns.is_empty()
    }

    /// The mapping for a header. The unit or currency in the name of a renamed column (`金额（万元）`) is kept as the currency of its amounts.
    ///
    /// # Errors
    /// When the header lacks a column of the mapping, or the unit cannot be kept.
    pub fn open_for(&self, header: &[String]) -> Result<Self, String> {
        self.header(header)?;
        let mut opened = self.clone();
        let renamed = self.columns.iter().filter(|(_, field)| AMOUNTS.contains(&field.as_str()));
        let given = self.constants.get(CURRENCY).map(String::as_str);
        let mut said: Vec<(&str, Option<String>)> = Vec::new();
        for (name, _) in renamed {
            match of_column(name, given) {
                OfColumn::Nothing => said.push((name, None)),
                OfColumn::Currency(text) => said.push((name, Some(text))),
                OfColumn::Unclear(text) => {
                    return Err(format!(
                        "the column `{name}` says `{text}` of its amounts, and renamed they would lose it: {}",
                        Self::what_to_do(&text)
                    ));
                }
            }
        }
        let Some((name, Some(text))) = said.iter().find(|(_, text)| text.is_some()).cloned() else { return Ok(opened) };
        if let Some((other, _)) = said.iter().find(|(_, other)| other.as_ref() != Some(&text)) {
            return Err(format!("the columns `{name}` and `{other}` have different units: import them one after the other"));
        }
        if self.gives_currency(header) {
            return Err(format!(
                "the column `{name}` says `{text}` of its amounts, and another column their currency: leave that out (`\"NAME\" = \"\"` under \
                 [columns]), and {}",
                Self::what_to_do(&text)
            ));
        }
        opened.constants.insert(CURRENCY.to_owned(), text);
        Ok(opened)
    }

    fn what_to_do(text: &str) -> String {
        format!("write currency and unit under [constants], such as `currency = \"CNY（万元）\"` for `{text}`")
    }

    /// Whether the header has a column for the currency.
    fn gives_currency(&self, header: &[String]) -> bool {
        self.header(header).is_ok_and(|names| names.iter().take(header.len()).any(|name| name.eq_ignore_ascii_case(CURRENCY)))
    }

    /// The header after this mapping: other names stay, and the constants follow.
    ///
    /// # Errors
    /// When the header lacks a column of the mapping.
    pub fn header(&self, header: &[String]) -> Result<Vec<String>, String> {
        let trimmed: Vec<&str> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
        let missing: Vec<&str> = self.columns.keys().map(String::as_str).filter(|name| !trimmed.contains(name)).collect();
        if !missing.is_empty() {
            return Err(format!("the mapping names columns that the header does not have: {}", missing.join(", ")));
        }
        let renamed = trimmed.iter().map(|name| self.columns.get(*name).map_or(*name, String::as_str).to_owned());
        Ok(renamed.chain(self.constants.keys().cloned()).collect())
    }

    /// The values of the constants, in the order of [`Self::header`].
    pub fn constants(&self) -> impl Iterator<Item = &str> {
        self.constants.values().map(String::as_str)
    }
}
