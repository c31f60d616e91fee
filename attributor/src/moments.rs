//! When a stage was reached, as seen from one milestone.

use tributary_proto::Milestone;
pub use tributary_proto::vocabulary::{CLOSED_LOST, CLOSED_WON, LEAD, MQL};

/// Whether the milestone closes a deal: it is its own `close`.
pub fn is_closing(kind: &str) -> bool {
    kind == CLOSED_WON || kind == CLOSED_LOST
}

/// Whether milestones of this kind come after a deal was won, by their nature.
pub fn follows_the_win(kind: &str) -> bool {
    kind == "implemented" || kind == "expansion"
}

/// When the deal was won that milestone `of` follows: the one with its object id, else the latest of the unit, at or before it. `None` for
/// other kinds.
pub fn won_for(of: &Milestone, live: &[&Milestone]) -> Option<i64> {
    follows_the_win(&of.kind).then(|| of_stage(CLOSED_WON, of, live)).flatten()
}

/// The moment of stage `kind` for milestone `of`, among the `live` milestones of its unit (`of` included, none withdrawn).
///
/// The milestone of that kind with the same object id; else for `lead` the earliest `lead` (else `mql`) of the unit, for other kinds
/// the latest at or before `of`. `None` where there is none, or it is later than `of`.
pub fn of_stage(kind: &str, of: &Milestone, live: &[&Milestone]) -> Option<i64> {
    let times = |kind: &'static str| live.iter().filter(move |other| other.kind == kind).map(|other| other.time_ms);
    // Of an object that reached it several times, the latest up to `of`.
    let mut same_object = live.iter().filter(|other| other.kind == kind && other.object_id == of.object_id).peekable();
    let moment = if same_object.peek().is_some() {
        same_object.map(|same| same.time_ms).filter(|time_ms| *time_ms <= of.time_ms).max()
    } else if kind == LEAD {
        times(LEAD).min().or_else(|| times(MQL).min())
    } else {
        live.iter().filter(|other| other.kind == kind && other.time_ms <= of.time_ms).map(|other| other.time_ms).max()
    };
    moment.filter(|moment| *moment <= of.time_ms)
}

/// When the unit last won a deal before `of`: the start of its present life cycle, itself not part of it.
pub fn last_won_before(of: &Milestone, live: &[&Milestone]) -> Option<i64> {
    live.iter()
        .filter(|other| other.kind == CLOSED_WON && other.milestone_id != of.milestone_id && other.time_ms < of.time_ms)
        .map(|other| other.time_ms)
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milestone(kind: &str, object_id: &str, time_ms: i64) -> Milestone {
        Milestone {
            milestone_id: format!("{kind}:{object_id}"),
            kind: kind.into(),
            object_id: object_id.into(),
            time_ms,
            ..Milestone::default()
        }
    }

    #[test]
    fn the_same_object_wins_over_the_latest() {
        let (own, later, won) =
            (milestone("opportunity", "1", 10), milestone("opportunity", "2", 20), milestone(CLOSED_WON, "1", 30));
        assert_eq!(of_stage("opportunity", &won, &[&own, &later, &won]), Some(10));
        assert_eq!(of_stage("opportunity", &won, &[&later, &won]), Some(20));
        assert_eq!(of_stage("meeting", &won, &[&own, &later, &won]), None);
    }

    #[test]
    fn a_lead_is_the_earliest_and_an_mql_stands_in() {
        let (one, two, won) = (milestone(MQL, "a", 10), milestone(MQL, "b", 20), milestone(CLOSED_WON, "1", 30));
        assert_eq!(of_stage(LEAD, &won, &[&two, &one, &won]), Some(10));
        let lead = milestone(LEAD, "c", 25);
        assert_eq!(of_stage(LEAD, &won, &[&two, &one, &lead, &won]), Some(25));
        assert_eq!(of_stage(LEAD, &two, &[&two, &one, &lead, &won]), None, "the lead is later than the milestone");
    }

    #[test]
    fn of_several_times_the_latest_counts() {
        let (first, again, won) = (milestone(MQL, "1", 10), milestone(MQL, "1", 20), milestone(CLOSED_WON, "1", 30));
        assert_eq!(of_stage(MQL, &won, &[&first, &again, &won]), Some(20));
        let between = milestone(CLOSED_WON, "1", 15);
        assert_eq!(of_stage(MQL, &between, &[&first, &again, &between]), Some(10));
    }

    #[test]
    fn an_expansion_follows_its_own_deal_else_the_latest() {
        let (own, later) = (milestone(CLOSED_WON, "1", 10), milestone(CLOSED_WON, "2", 20));
        let (expansion, other) = (milestone("expansion", "1", 30), milestone("expansion", "9", 30));
        let live = [&own, &later, &expansion, &other];
        assert_eq!((won_for(&expansion, &live), won_for(&other, &live)), (Some(10), Some(20)));
        assert_eq!((won_for(&later, &live), won_for(&other, &[&other])), (None, None));
    }

    #[test]
    fn a_life_cycle_begins_after_the_deal_won_before() {
        let (first, second) = (milestone(CLOSED_WON, "1", 10), milestone(CLOSED_WON, "2", 30));
        assert_eq!(last_won_before(&second, &[&first, &second]), Some(10));
        assert_eq!(last_won_before(&first, &[&first, &second]), None);
    }
}
