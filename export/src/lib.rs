//! Rows of the outputs as Parquet files, for any warehouse.
//!
//! | what | where |
//! |---|---|
//! | which columns a file has, by the data dictionary | [`schema`] |
//! | rows become columns, a row group at a time | [`columns`] |
//! | a file is there whole or not at all | [`mod@file`] |
//! | of each key the latest row, in bounded memory | [`fold`] |
//! | the records of a topic become its file | [`table`] |
//!
//! ```
//! # fn main() -> Result<(), tributary_export::ExportError> {
//! use tributary_export::table::{Table, Which};
//! use tributary_proto::{Message, Spend};
//! use tributary_runtime::topic::Topic;
//!
//! let folder = tempfile::tempdir().expect("a folder");
//! let spend = Spend { spend_id: "s1".into(), day: "2024-03-01".into(), value_minor: 120_000, ..Spend::default() };
//! let mut table = Table::begin(folder.path(), Topic::Spend, Which::Latest)?;
//! table.take(b"s1", Some(&spend.encode_to_vec()))?;
//! assert_eq!(table.finish(&mut |_| {})?.rows, 1);
//! assert!(folder.path().join("spend.parquet").exists());
//! # Ok(())
//! # }
//! ```

mod column;
pub mod columns;
mod error;
pub mod file;
pub mod fold;
pub mod schema;
pub mod table;

pub use column::CellError;
pub use error::ExportError;
