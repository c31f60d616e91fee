//! Finds the header of a table: exports have titles above it.

/// How many rows that are not blank are examined.
pub const ROWS_MAX: usize = 20;

/// The position of the header among the first rows that are not blank: the first row with two known names, else the first with one. `None`
/// if no name is known.
pub fn find(rows: &[Vec<String>], known: impl Fn(&[String]) -> usize) -> Option<usize> {
    let counts: Vec<usize> = rows.iter().map(|cells| known(cells)).collect();
    // A title may be equal to the name of a field; a header has more of them.
    counts.iter().position(|count| *count >= 2).or_else(|| counts.iter().position(|count| *count == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_rows_are_skipped() {
        let row = |text: &str| -> Vec<String> { text.split(',').map(str::to_owned).collect() };
        let known =
            |cells: &[String]| cells.iter().filter(|cell| ["phone", "email", "campaign"].contains(&cell.as_str())).count();
        for (rows, place) in [
            (vec!["phone,email", "1,2"], Some(0)),
            (vec!["Guests of 2026,", "phone,email", "1,2"], Some(1)),
            (vec!["campaign,", "phone,email", "1,2"], Some(1)),
            (vec!["phone", "1"], Some(0)),
            (vec!["a,b", "1,2"], None),
            (vec![], None),
        ] {
            let rows: Vec<_> = rows.into_iter().map(row).collect();
            assert_eq!(find(&rows, known), place, "{rows:?}");
        }
    }
}
