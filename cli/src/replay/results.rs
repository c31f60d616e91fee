//! What a replay leaves, and its files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tributary_proto::{Account, DeadLetter, Identifier, Profile, Spend, Trait};

use crate::credit_table::CreditTable;

/// What a replay leaves.
#[derive(Default)]
pub struct Results {
    /// Raw records taken in.
    pub raw_records: u64,
    /// The credit table.
    pub credits: CreditTable,
    /// The profiles that live, by id.
    pub profiles: BTreeMap<String, Profile>,
    /// The accounts that live, by id.
    pub accounts: BTreeMap<String, Account>,
    /// What was spent, by the record's id.
    pub spends: BTreeMap<String, Spend>,
    /// Events that could not be processed.
    pub dead_letters: Vec<DeadLetter>,
}

/// A result file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {source}", .path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

#[derive(Serialize)]
struct ProfileLine<'a> {
    profile_id: &'a str,
    account_id: &'a str,
    identifiers: Vec<String>,
}

/// The same with what else the topic's row says; identifiers are written `kind|scope|value`.
#[derive(Serialize)]
struct WholeProfile<'a> {
    #[serde(flatten)]
    line: ProfileLine<'a>,
    traits: &'a [Trait],
    revoked: bool,
    quarantined: bool,
}

#[derive(Serialize)]
struct AccountLine<'a> {
    account_id: &'a str,
    identifiers: Vec<String>,
    traits: &'a [Trait],
    quarantined: bool,
}

impl Results {
    /// Writes `credit-table.ndjson`, `profiles.ndjson`, `accounts.ndjson`, `spend.ndjson` and `dead-letters.ndjson` into a folder.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), WriteError> {
        write_lines(&folder.join("credit-table.ndjson"), self.credits.rows())?;
        let profiles = self.profiles.values().zip(self.profile_lines()).map(|(profile, line)| WholeProfile {
            line,
            traits: &profile.traits,
            revoked: profile.revoked,
            quarantined: profile.quarantined,
        });
        write_lines(&folder.join("profiles.ndjson"), profiles)?;
        let accounts = self.accounts.values().map(|account| AccountLine {
            account_id: &account.account_id,
            identifiers: names(&account.identifiers),
            traits: &account.traits,
            quarantined: account.quarantined,
        });
        write_lines(&folder.join("accounts.ndjson"), accounts)?;
        write_lines(&folder.join("spend.ndjson"), self.spends.values())?;
        write_lines(&folder.join("dead-letters.ndjson"), &self.dead_letters)
    }

    fn profile_lines(&self) -> impl Iterator<Item = ProfileLine<'_>> {
        self.profiles.values().map(|profile| ProfileLine {
            profile_id: &profile.profile_id,
            account_id: &profile.account_id,
            identifiers: names(&profile.identifiers),
        })
    }

    /// The credit table as its file holds it, and who the profiles are: two results are the same when these are.
    ///
    /// # Errors
    /// When a line cannot be made.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let mut text = String::new();
        for row in self.credits.rows() {
            text += &serde_json::to_string(&row)?;
            text.push('\n');
        }
        for line in self.profile_lines() {
            text += &serde_json::to_string(&line)?;
            text.push('\n');
        }
        Ok(text)
    }
}

fn names(identifiers: &[Identifier]) -> Vec<String> {
    identifiers.iter().map(Identifier::display).collect()
}

fn write_lines<T: Serialize>(path: &Path, lines: impl IntoIterator<Item = T>) -> Result<(), WriteError> {
    let write = || -> io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        for line in lines {
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    };
    write().map_err(|source| WriteError { path: path.to_owned(), source })
}
