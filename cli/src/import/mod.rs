//! Sends the rows of a file to the offline topic, after checking each. An interrupted import continues where it was ([`crate::resume`]).

mod shown;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use tributary_ingest::{Decoded, Decoder};
use tributary_pipeline::time::now_ms;
use tributary_proto::Source;
use tributary_runtime::topic::Topic;

use crate::lines::{Line, Lines};
use crate::outcome::Usage;
use crate::progress::Progress;
use crate::resume::Sending;
use crate::rows::{Declared, Row, RowProblem, Rows};

pub use shown::Shown;

/// Most problems that are kept; all are counted.
const PROBLEMS_MAX: usize = 10_000;
/// Most rows shown of those that would be sent.
const SHOWN_MAX: usize = 20;

/// A file to import.
pub enum Input {
    /// A table.
    Table(Box<Rows>),
    /// One native record per line.
    Lines {
        /// The file.
        lines: Lines,
    },
}

impl Input {
    /// Opens a file: NDJSON by its name, otherwise a table.
    ///
    /// # Errors
    /// When it cannot be read or is not a table, or an option does not apply to such a file.
    pub fn open(file: &Path, decoder: &Decoder, declared: Declared, record_bytes_max: usize) -> anyhow::Result<Self> {
        let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_lowercase();
        if ["ndjson", "jsonl", "json"].contains(&extension.as_str()) {
            if declared != Declared::default() {
                anyhow::bail!(Usage(format!(
                    "{}: NDJSON is read as it is: leave out --mapping, --encoding, --format, --delimiter and --sheet",
                    file.display()
                )));
            }
            return Ok(Self::Lines { lines: Lines::open(file, record_bytes_max)? });
        }
        if let Some(unused) = declared.unused(file) {
            anyhow::bail!(Usage(format!("{}: {unused}", file.display())));
        }
        Ok(Self::Table(Box::new(Rows::open_as(file, decoder, declared)?)))
    }

    /// The number of rows, if known.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Table(rows) => Some(rows.count()),
            Self::Lines { .. } => None,
        }
    }

    /// What was detected, in words; and which sheets are not read.
    pub fn found(&self) -> Vec<String> {
        match self {
            Self::Table(rows) => [rows.told(), rows.unread()].concat(),
            Self::Lines { .. } => Vec::new(),
        }
    }

    /// Columns without effect.
    pub fn unknown_columns(&self) -> Vec<String> {
        match self {
            Self::Table(rows) => rows.unknown_columns().map(str::to_owned).collect(),
            Self::Lines { .. } => Vec::new(),
        }
    }

    fn each(&mut self, take: &mut dyn FnMut(Row) -> anyhow::Result<()>) -> anyhow::Result<()> {
        match self {
            Self::Table(rows) => rows.each(take),
            Self::Lines { lines } => each_line(lines, take),
        }
    }

    fn problem(&self, line: u64, rejection: tributary_runtime::stage::Rejection) -> RowProblem {
        match self {
            Self::Table(rows) => rows.problem(line, rejection),
            Self::Lines { .. } => {
                let reason = format!("{}: {}", rejection.reason, rejection.detail);
                RowProblem { line, column: rejection.field, reason }
            }
        }
    }
}

fn each_line(lines: &mut Lines, take: &mut dyn FnMut(Row) -> anyhow::Result<()>) -> anyhow::Result<()> {
    loop {
        let line = lines.next_line()?.map(|line| match line {
            Line::Whole(bytes) => Ok(String::from_utf8(bytes.to_vec())),
            Line::TooLong { beginning, bytes } => Err((beginning.len(), bytes)),
        });
        let number = lines.line();
        let bad = |reason: String| Err(RowProblem { line: number, column: String::new(), reason });
        take(match line {
            None => return Ok(()),
            Some(Ok(Ok(text))) => Ok((number, text)),
            Some(Ok(Err(_))) => bad("utf8_invalid: send UTF-8".to_owned()),
            Some(Err((most, bytes))) => bad(format!("record_too_large: the line has {bytes} bytes, and may have {most}")),
        })?;
    }
}

/// The result of an import or a dry run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Rows of the file.
    pub rows: u64,
    /// Rows sent, by this run and the interrupted one that it continues.
    pub sent: u64,
    /// Rows refused, likewise.
    pub refused: u64,
    /// Rows that an interrupted run had finished.
    pub resumed_after: u64,
    /// The kinds of records in this run's rows.
    pub kinds: BTreeMap<&'static str, u64>,
    /// What was detected, in words: encoding, sheet, sheets that are not read, line of the header.
    pub found: Vec<String>,
    /// Columns without effect.
    pub unknown_columns: Vec<String>,
    /// The first problems with rows of this run.
    pub problems: Vec<RowProblem>,
    /// Values of fields that cannot be read: their rows count without them.
    pub fields_ignored: u64,
    /// The first of these.
    pub ignored: Vec<RowProblem>,
    /// For a dry run, the first rows that would be sent.
    pub shown: Vec<Shown>,
}

/// Sends the valid rows; in a dry run it only checks them.
pub struct Import<'a> {
    /// Checks the rows.
    pub decoder: &'a Decoder,
    /// How they are sent; `None` for a dry run.
    pub sending: Option<&'a mut Sending>,
    /// Shows how far it has come.
    pub progress: Progress,
}

impl<'a> Import<'a> {
    /// Continues where an interrupted run stopped, if `sending` has such a position.
    pub fn new(decoder: &'a Decoder, count: Option<u64>, sending: Option<&'a mut Sending>) -> Self {
        Self { decoder, sending, progress: Progress::new("import", count) }
    }

    /// Runs the import.
    ///
    /// # Errors
    /// When the file cannot be read, or a record cannot be delivered. Invalid rows are in the report.
    pub fn run(mut self, input: &mut Input) -> anyhow::Result<Report> {
        let mut report = Report { found: input.found(), unknown_columns: input.unknown_columns(), ..Report::default() };
        if let Some(sending) = &self.sending {
            let earlier = sending.earlier();
            (report.resumed_after, report.sent, report.refused) = (earlier.rows, earlier.sent, earlier.refused);
        }
        let (mut refused, mut ignored) = (Vec::new(), Vec::new());
        let mut decoded = Decoded::default();
        input.each(&mut |row| {
            report.rows += 1;
            self.progress.add(1);
            if report.rows <= report.resumed_after {
                return Ok(());
            }
            let line = self.row(row, &mut decoded, &mut report, &mut refused)?;
            for left_out in line.iter().flat_map(|_| decoded.ignored.iter()) {
                report.fields_ignored += left_out.count;
                if ignored.len() < PROBLEMS_MAX {
                    ignored.push((line.unwrap_or_default(), left_out.why.clone()));
                }
            }
            match &mut self.sending {
                Some(sending) => Ok(sending.passed(0, report.rows, report.sent, report.refused)?),
                None => Ok(()),
            }
        })?;
        report.problems.extend(refused.into_iter().map(|refused| match refused {
            Refused::Row(problem) => problem,
            Refused::Record(line, rejection) => input.problem(line, rejection),
        }));
        report.ignored.extend(ignored.into_iter().map(|(line, why)| input.problem(line, why)));
        self.progress.finish();
        Ok(report)
    }

    /// Checks a row, and sends it if it is valid; returns its line then.
    fn row(
        &mut self,
        row: Row,
        decoded: &mut Decoded,
        report: &mut Report,
        refused: &mut Vec<Refused>,
    ) -> anyhow::Result<Option<u64>> {
        let received_ms = now_ms();
        let checked = row.map_err(Refused::Row).and_then(|(line, record)| {
            decoded.clear();
            let accepted = self.decoder.decode(Source::Offline, record.as_bytes(), Some(received_ms), decoded);
            let rejection = accepted.err().or_else(|| decoded.rejections.pop());
            rejection.map_or(Ok((line, record)), |rejection| Err(Refused::Record(line, rejection)))
        });
        let (line, record) = match checked {
            Ok(row) => row,
            Err(problem) => {
                report.refused += 1;
                if refused.len() < PROBLEMS_MAX {
                    refused.push(problem);
                }
                return Ok(None);
            }
        };
        for shown in Shown::of(line, decoded) {
            *report.kinds.entry(shown.kind).or_default() += 1;
            if self.sending.is_none() && report.shown.len() < SHOWN_MAX {
                report.shown.push(shown);
            }
        }
        if let Some(sending) = &mut self.sending {
            sending.send(Topic::Offline, record.as_bytes(), received_ms)?;
            report.sent += 1;
        }
        Ok(Some(line))
    }
}

enum Refused {
    Row(RowProblem),
    Record(u64, tributary_runtime::stage::Rejection),
}

#[cfg(test)]
mod tests;
