//! Cells of the CSV files that are written for people. A spreadsheet reads a cell that begins with `=`, `+`, `-` or `@` as a formula, which
//! may send neighbouring cells to a stranger. Values come from strangers.

use std::borrow::Cow;

/// A cell that no spreadsheet interprets as a formula: prefixed with `'` if it begins like one. A plain number, such as `-12.50` or a phone
/// number with its `+`, is unchanged.
///
/// Readers of the file get the `'`, too. Import does not remove it, because it may have been part of the value.
pub fn inert(cell: &str) -> Cow<'_, str> {
    let first = cell.trim_start_matches(is_passed_over).chars().next();
    let begins = first.is_some_and(|mark| FORMULA.contains(&mark)) || cell.starts_with(|mark: char| mark.is_control());
    if begins && !is_number(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// Characters that begin a formula: in ASCII, and the wide, small and raised forms that spreadsheets accept under East Asian settings.
const FORMULA: [char; 19] =
    ['=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫', '⁼', '⁺', '⁻', '₌', '₊', '₋', '−'];

/// Invisible characters before a formula, which spreadsheets skip or drop.
fn is_passed_over(mark: char) -> bool {
    let invisible = matches!(
        mark,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{3164}' | '\u{e0000}'..='\u{e0fff}'
    );
    mark.is_whitespace() || mark.is_control() || invisible || mark == '"'
}

/// Digits with at most one sign before them and one point inside.
fn is_number(cell: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_text_and_numbers_stay() {
        for formula in [
            "=1+1",
            "+1+1",
            "-1+1",
            "@SUM(A1)",
            "=cmd|' /C calc'!A0",
            "＝1",
            "＋1",
            "－1",
            "＠x",
            "\t=1",
            "\r=1",
            "\n=1",
            "\tx",
            "\rx",
            " =1",
            "\u{a0}=1",
            "\u{3000}＝1",
            "\u{200b}=1",
            "\u{feff}=1",
            "\u{200f}\u{202e}@x",
            "-",
            "+",
            "=",
            "--1",
            "+-1",
            "-1.",
            "-.5",
            "-1,5",
            "-1e5",
            "+86 138",
            "-1-1",
            "\0=1",
            "\u{ad}=1",
            "\u{2060}-x",
            "﹣1",
            "⁼1",
            "−1",
            " -12.50",
            "-12.50 ",
            "-１",
            "\"=1\"",
            "=",
            "@",
            "=HYPERLINK(\"http://x\",\"y\")",
            "\u{e0001}=1",
            "\u{3164}=1",
        ] {
            assert_eq!(inert(formula), format!("'{formula}"), "{formula:?}");
        }
        for plain in
            ["", "-12.50", "+8613800001111", "12", "0.5", "a=1", "a@b.example", "峰会", "'=1", "2024-05-01", "x-1", "(1)", "#"]
        {
            assert_eq!(inert(plain), plain);
        }
    }
}
