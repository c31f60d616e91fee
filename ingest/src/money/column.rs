//! Currency and unit in the name of an amount column: `金额（万元）`, `Amount (USD)`, `Revenue, EUR million`. Renaming the column must not lose
//! them.

use super::unit::{is_of_units, understood};
use super::{Unit, unit};
use crate::normalise::text::narrow;

/// Currency codes that are also English words: the lek, the lira, the pa'anga, the peso of Cuba. They count as codes only in capitals.
const WORDS: [&str; 4] = ["ALL", "TRY", "TOP", "CUP"];

/// What a column's name tells about its amounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfColumn {
    /// Nothing new.
    Nothing,
    /// Their currency and unit, in the form of a cell of a currency column.
    Currency(String),
    /// A unit or a currency that makes amounts unreadable: this one.
    Unclear(String),
}

/// What the name of a column tells about its amounts. `given` is the currency from elsewhere; a unit in the name applies to it.
pub fn of_column(name: &str, given: Option<&str>) -> OfColumn {
    if given.is_some_and(|given| unit(given).power > 0) {
        return OfColumn::Nothing;
    }
    let narrowed = narrow(name).replace('￥', "¥").to_uppercase();
    let is_word = |said: &&str| WORDS.contains(said) && !name.contains(*said);
    let Some(said) = said(&narrowed).filter(|said| !is_word(said)) else { return OfColumn::Nothing };
    let given_or_none = given.unwrap_or_default();
    let whole = format!("{given_or_none} {said}").trim().to_owned();
    match (understood(&whole), given) {
        (Some(Unit { power: 0, .. }), Some(_)) => OfColumn::Nothing,
        (Some(_), _) => OfColumn::Currency(whole),
        (None, _) => OfColumn::Unclear(said.to_owned()),
    }
}

/// The part of a name that is a unit or a currency: in brackets, else at its end.
fn said(name: &str) -> Option<&str> {
    let bracketed = name.split(['(', '[', '{', '【']).skip(1);
    let inside = bracketed.filter_map(|part| part.split([')', ']', '}', '】']).next()).map(str::trim);
    if let Some(part) = inside.into_iter().find(|part| is_of_units(part, true)) {
        return Some(part);
    }
    let begins = |at: &usize| {
        let before = name.get(..*at).and_then(|front| front.chars().next_back());
        let first = name.get(*at..).and_then(|rest| rest.chars().next());
        let letters = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        before.is_some() && !(letters(before) && letters(first)) && first.is_some_and(char::is_alphanumeric)
    };
    let places = name.char_indices().map(|(at, _)| at).filter(begins);
    places.filter_map(|at| name.get(at..)).map(str::trim).find(|end| is_of_units(end, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_and_currency_are_read_from_the_column_name() {
        let is = |text: &str| OfColumn::Currency(text.to_owned());
        let unclear = |text: &str| OfColumn::Unclear(text.to_owned());
        for (name, given, expected) in [
            ("金额（万元）", None, is("万元")),
            ("Cost (all)", None, OfColumn::Nothing),
            ("Cost (TRY)", None, is("TRY")),
            ("金额（万元）", Some("USD"), is("USD 万元")),
            ("金额（万元）", Some("CNY（万元）"), OfColumn::Nothing),
            ("金额万元", None, is("万元")),
            ("合同额-单位：万元", None, is("单位:万元")),
            ("金额（美元）", None, is("美元")),
            ("金额（美元）", Some("USD"), OfColumn::Nothing),
            ("金额（美元）", Some("CNY"), unclear("美元")),
            ("金额（元）", Some("HKD"), OfColumn::Nothing),
            ("金额【千元】", None, is("千元")),
            ("Amount (USD)", None, is("USD")),
            ("Amount (in thousands)", Some("eur"), is("eur IN THOUSANDS")),
            ("Amount (in thousands)", None, unclear("IN THOUSANDS")),
            ("Revenue, EUR million", None, is("EUR MILLION")),
            ("Amount USD k", None, is("USD K")),
            ("Amount (USD m)", None, unclear("USD M")),
            ("Amount (1,000)", Some("USD"), unclear("1,000")),
            ("金额（万）", None, unclear("万")),
            ("金额（万）", Some("CNY"), is("CNY 万")),
            // Neither.
            ("金额", None, OfColumn::Nothing),
            ("金额（含税）", None, OfColumn::Nothing),
            ("金额（十月）", None, OfColumn::Nothing),
            ("Amount (2026)", None, OfColumn::Nothing),
            ("Plan B", None, OfColumn::Nothing),
            ("Tank", None, OfColumn::Nothing),
            ("value", None, OfColumn::Nothing),
            ("", None, OfColumn::Nothing),
        ] {
            assert_eq!(of_column(name, given), expected, "{name}, {given:?}");
        }
    }
}
