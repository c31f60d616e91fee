//! Cases from the field: small inputs as real senders send them, each with its right answer. `cases/NN_name` holds the inputs, and the table
//! of the tests that read them what they have to give.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

#[path = "cases/amounts.rs"]
mod amounts;
#[path = "cases/answer.rs"]
mod answer;
#[path = "cases/cells.rs"]
mod cells;
#[path = "cases/channels.rs"]
mod channels;
#[path = "cases/credit.rs"]
mod credit;
#[path = "cases/people.rs"]
mod people;
#[path = "cases/pushes.rs"]
mod pushes;
#[path = "cases/tables.rs"]
mod tables;
