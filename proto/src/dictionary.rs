//! What fields the rows of the outputs have, for whoever writes rows in a form of their own. `build.rs` takes it from the `.proto` files.

/// A message that is a row of an output, or part of one.
///
/// ```
/// use tributary_proto::CreditUpdate;
/// use tributary_proto::dictionary::{Described, Form};
///
/// let time = CreditUpdate::FIELDS.iter().find(|field| field.name == "touch_time").expect("rows have a time");
/// assert_eq!((time.form, time.repeated), (Form::Time, false));
/// ```
pub trait Described {
    /// Its name in the `.proto` file.
    const NAME: &'static str;
    /// Its index among the messages of that file.
    const INDEX: usize;
    /// Its fields, in the order of the `.proto` file.
    const FIELDS: &'static [Field];
}

/// A field of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name, as in JSON.
    pub name: &'static str,
    /// Its form; for a list, the form of its items.
    pub form: Form,
    /// Whether it is a list.
    pub repeated: bool,
}

/// The form of a field: what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A text, or the short name of a value of an enum.
    Text,
    /// Bytes.
    Bytes,
    /// Yes or no.
    Flag,
    /// An integer.
    Int32,
    /// An integer.
    Int64,
    /// An integer.
    Uint32,
    /// An integer.
    Uint64,
    /// A time, milliseconds since 1970-01-01 UTC; 0 for none.
    Time,
    /// A day, as text: 2024-03-01.
    Day,
    /// A map from names to texts.
    Map,
    /// A message with these fields.
    Message(&'static [Field]),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Account, CreditUpdate, MilestoneRow, Spend};

    fn form(of: &[Field], name: &str) -> (Form, bool) {
        of.iter().find(|field| field.name == name).map(|field| (field.form, field.repeated)).unwrap()
    }

    #[test]
    fn fields_match_the_proto_files() {
        assert_eq!(form(CreditUpdate::FIELDS, "touch_time"), (Form::Time, false));
        assert_eq!(form(CreditUpdate::FIELDS, "value_minor"), (Form::Int64, false));
        assert_eq!(form(CreditUpdate::FIELDS, "revision"), (Form::Uint64, false));
        assert_eq!(form(CreditUpdate::FIELDS, "reason"), (Form::Text, false));
        assert_eq!(form(Spend::FIELDS, "day"), (Form::Day, false));
        let (stages, repeated) = form(MilestoneRow::FIELDS, "stages");
        let Form::Message(moment) = stages else { panic!("{stages:?}") };
        assert!(repeated && form(moment, "time") == (Form::Time, false));
        assert_eq!(form(CreditUpdate::FIELDS, "milestone_dimensions"), (Form::Map, false));
        let (people, _) = form(Account::FIELDS, "people");
        assert!(matches!(people, Form::Message(person) if form(person, "to_ms").0 == Form::Time));
    }
}
