//! When a stage was reached, as seen from one milestone.

use tributary_proto::Milestone;
pub use tributary_proto::vocabulary::{CLOSED_LOST, CLOSED_WON, LEAD, MQL};

/// Whether milestones of this kind close a deal: then the stage `close` is the milestone itself.
pub fn is_closing(kind: &str) -> bool {
    kind == CLOSED_WON || kind == CLOSED_LOST
}

/// Whether milestones of this kind follow a deal that was won: expansions and the like.
pub fn follows_the_win(kind: &str) -> bool {
    kind == "implemented" || kind == "expansion"
}

/// When the deal was won that milestone `of` follows: the deal with the same object id, else the latest of the unit at or before it. `None`
/// for other kinds.
pub fn won_for(of: &Milestone, live: &[&Milestone]) -> Option<i64> {
    follows_the_win(&of.kind).then(|| of_stage(CLOSED_WON, of, live)).flatten()
}

/// When stage `kind` was reached as seen from milestone `of`, among the `live` milestones of its unit (`of` included, none withdrawn).
///
/// The milestone of that kind with the same object id. Otherwise: for `lead` the earliest `lead` (else `mql`) of the unit, for other kinds
/// the latest at or before `of`. `None` if there is none, or it is later than `of`. Public-only milestones count only if there are no
/// trusted ones: so a public `lead` comes after a trusted `mql`.
pub fn of_stage(kind: &str, of: &Milestone, live: &[&Milestone]) -> Option<i64> {
    let is = |other: &Milestone| other.kind == kind;
    let moment = if live.iter().any(|other| is(other) && other.object_id == of.object_id) {
        // Of an object that reached it several times, the latest time up to `of`.
        let times = trusted(live, |other| is(other) && other.object_id == of.object_id);
        times.into_iter().filter(|time_ms| *time_ms <= of.time_ms).max()
    } else if kind == LEAD {
        let earliest = |kind: &str, public: bool| {
            live.iter().filter(|other| other.kind == kind && other.public == public).map(|other| other.time_ms).min()
        };
        let by_trust = |public: bool| earliest(LEAD, public).or_else(|| earliest(MQL, public));
        by_trust(false).or_else(|| by_trust(true))
    } else {
        trusted(live, |other| is(other) && other.time_ms <= of.time_ms).into_iter().max()
    };
    moment.filter(|moment| *moment <= of.time_ms)
}

/// When the matching milestones were reached: those of trusted events, else those of public ones.
fn trusted(live: &[&Milestone], so: impl Fn(&Milestone) -> bool) -> Vec<i64> {
    let times = |public: bool| {
        let all = live.iter().filter(|other| other.public == public && so(other));
        all.map(|other| other.time_ms).collect::<Vec<_>>()
    };
    let trusted = times(false);
    if trusted.is_empty() { times(true) } else { trusted }
}

/// When the unit last won a deal before `of`: its current life cycle starts after that. A deal that only public events report ends a life
/// cycle only if no other was won before.
pub fn last_won_before(of: &Milestone, live: &[&Milestone]) -> Option<i64> {
    let won = |other: &Milestone| other.kind == CLOSED_WON && other.milestone_id != of.milestone_id;
    trusted(live, |other| won(other) && other.time_ms < of.time_ms).into_iter().max()
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
    fn the_earliest_lead_counts_or_else_the_earliest_mql() {
        let (one, two, won) = (milestone(MQL, "a", 10), milestone(MQL, "b", 20), milestone(CLOSED_WON, "1", 30));
        assert_eq!(of_stage(LEAD, &won, &[&two, &one, &won]), Some(10));
        let lead = milestone(LEAD, "c", 25);
        assert_eq!(of_stage(LEAD, &won, &[&two, &one, &lead, &won]), Some(25));
        assert_eq!(of_stage(LEAD, &two, &[&two, &one, &lead, &won]), None, "the lead is later than the milestone");
    }

    #[test]
    fn public_milestones_count_where_there_are_no_others() {
        let public = |kind: &str, object_id: &str, time_ms| Milestone { public: true, ..milestone(kind, object_id, time_ms) };
        let won = milestone(CLOSED_WON, "1", 30);
        let (early, trusted, late) = (public(MQL, "a", 5), milestone(MQL, "b", 10), milestone(MQL, "c", 40));
        assert_eq!(of_stage(LEAD, &won, &[&early, &trusted, &won]), Some(10));
        assert_eq!(of_stage(LEAD, &won, &[&early, &won]), Some(5));
        assert_eq!(of_stage(LEAD, &won, &[&early, &late, &won]), None, "the trusted one counts, and is later");
        let (own, other) = (public(MQL, "1", 20), milestone(MQL, "2", 15));
        assert_eq!(of_stage(MQL, &won, &[&own, &other, &won]), Some(20), "its own object comes before the unit");
        assert_eq!(of_stage(MQL, &won, &[&own, &milestone(MQL, "1", 8), &won]), Some(8));
        assert_eq!(of_stage(MQL, &won, &[&early, &late, &won]), Some(5), "what is later is not looked at");
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
        let public = Milestone { public: true, ..milestone(CLOSED_WON, "3", 20) };
        assert_eq!(last_won_before(&second, &[&first, &public, &second]), Some(10), "outsiders end no life cycle");
        assert_eq!(last_won_before(&second, &[&public, &second]), Some(20), "where nobody else has won");
    }
}
