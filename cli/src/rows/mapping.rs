//! A file that says which columns of a table are which fields.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// The largest mapping file, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// `[columns]`: the header's name = the field, an empty one for a column that is left out. `[constants]`: field = a value for all rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    columns: BTreeMap<String, String>,
    constants: BTreeMap<String, String>,
}

impl Mapping {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, with its path and line.
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

    /// Whether it says anything of columns.
    pub fn names_columns(&self) -> bool {
        !self.columns.is_empty()
    }

    /// The header under this mapping: names that it does not mention stay as they are, and the constants follow.
    ///
    /// # Errors
    /// When the header has no column that the mapping names.
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
