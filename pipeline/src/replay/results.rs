//! The results of a replay, and their files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use serde::Serialize;
use tributary_proto::{Account, AccountPerson, DeadLetter, Identifier, Membership, Profile, Trait};
use tributary_runtime::stage::Output;
use tributary_runtime::topic::Topic;
use tributary_runtime::topic::format::Rows;

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
    /// The rows of all other outputs.
    pub others: BTreeMap<Topic, Table>,
    /// Events that could not be processed.
    pub dead_letters: Vec<DeadLetter>,
}

/// The rows of a topic: the latest of each key, where the topic is compacted.
#[derive(Default)]
pub struct Table(BTreeMap<Vec<u8>, Vec<u8>>);

impl Table {
    /// Adds records of the topic.
    pub fn add(&mut self, topic: Topic, records: Vec<Output>) {
        for Output { key, value, .. } in records {
            let key = if topic.compacted() { key } else { (self.0.len() as u64).to_be_bytes().to_vec() };
            match value {
                Some(value) => drop(self.0.insert(key, value)),
                None => drop(self.0.remove(&key)),
            }
        }
    }

    /// The records: key and value.
    pub fn records(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    fn write(&self, path: &Path, rows: &Rows) -> Result<(), WriteError> {
        write_with(path, |out| {
            self.0.values().try_for_each(|row| {
                out.write_all(&rows.to_json(row).map_err(io::Error::other)?)?;
                out.write_all(b"\n")
            })
        })
    }
}

/// A result file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {source}", .path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// The error of the system.
    pub source: io::Error,
}

#[derive(Serialize)]
struct ProfileLine<'a> {
    profile_id: &'a str,
    account_id: &'a str,
    identifiers: Vec<String>,
}

/// The same with all other fields of the topic's row; identifiers are written `kind|scope|value`.
#[derive(Serialize)]
struct WholeProfile<'a> {
    #[serde(flatten)]
    line: ProfileLine<'a>,
    traits: &'a [Trait],
    revoked: bool,
    quarantined: bool,
    memberships: &'a [Membership],
}

#[derive(Serialize)]
struct AccountLine<'a> {
    account_id: &'a str,
    identifiers: Vec<String>,
    traits: &'a [Trait],
    quarantined: bool,
    people: &'a [AccountPerson],
    people_count: u32,
    parent_id: &'a str,
    root_id: &'a str,
}

impl Results {
    /// Writes `credit-table.ndjson` and a file of each other output into a folder: `profiles.ndjson`, `dead-letters.ndjson`, ...
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), WriteError> {
        // The credit table is about as large as all the others.
        thread::scope(|scope| {
            let others = scope.spawn(|| self.write_others(folder));
            write_lines(&folder.join("credit-table.ndjson"), self.credits.rows())?;
            others.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    fn write_others(&self, folder: &Path) -> Result<(), WriteError> {
        let profiles = self.profiles.values().zip(self.profile_lines()).map(|(profile, line)| WholeProfile {
            line,
            traits: &profile.traits,
            revoked: profile.revoked,
            quarantined: profile.quarantined,
            memberships: &profile.memberships,
        });
        write_lines(&folder.join("profiles.ndjson"), profiles)?;
        let accounts = self.accounts.values().map(|account| AccountLine {
            account_id: &account.account_id,
            identifiers: names(&account.identifiers),
            traits: &account.traits,
            quarantined: account.quarantined,
            people: &account.people,
            people_count: account.people_count,
            parent_id: &account.parent_id,
            root_id: &account.root_id,
        });
        write_lines(&folder.join("accounts.ndjson"), accounts)?;
        let typed = [Topic::Credits, Topic::Profiles, Topic::Accounts, Topic::DeadLetters];
        for topic in Topic::public().filter(|topic| !typed.contains(topic)) {
            let (none, path) = (Table::default(), folder.join(format!("{}.ndjson", topic.name())));
            let table = self.others.get(&topic).unwrap_or(&none);
            topic.rows().map_or(Ok(()), |rows| table.write(&path, rows))?;
        }
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
    write_with(path, |out| {
        lines.into_iter().try_for_each(|line| {
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")
        })
    })
}

fn write_with(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), WriteError> {
    let written = File::create(path).map(BufWriter::new).and_then(|mut out| write(&mut out).and_then(|()| out.flush()));
    written.map_err(|source| WriteError { path: path.to_owned(), source })
}
