//! The bugs that can be planted, and what is said of those that were found.

use std::fmt::Write;

/// A bug that a build with the feature `planted` can switch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bug {
    /// Its name, at the place where it is planted.
    pub name: &'static str,
    /// What goes wrong.
    pub what: &'static str,
}

macro_rules! bugs {
    ($($name:literal $what:literal,)*) => {
        /// Every bug.
        pub const ALL: &[Bug] = &[$(Bug { name: $name, what: $what },)*];
    };
}

bugs! {
    "offset_not_plus_one" "the offset of the last record is committed, not that of the next",
    "offset_plus_two" "the offset committed skips a record",
    "cache_survives_reassignment" "a partition that comes back keeps the state it had in memory",
    "dead_letter_lost" "what is refused is counted and forgotten",
    "batch_ended_for_one_partition" "some partitions of a batch are not brought to their end",
    "removals_not_written" "what a batch removed stays in the store and in the changelog",
    "last_write_lost" "the last change of a large batch is not written back",
    "scan_overwrites_changes" "reading a range of the store undoes changes of the batch",
    "producer_reused" "a producer goes on after a commit whose outcome is not known",
    "late_copy_trusted" "a producer goes on after a commit that was sent twice",
    "store_written_before_commit" "the store has changes of a transaction that was not committed",
    "full_store_passed_over" "a store that had no room for a transaction goes on without it",
    "store_not_written" "the store misses a committed transaction, and nobody notices",
    "offsets_not_in_transaction" "outputs are committed without the offsets of their inputs",
    "changes_not_in_transaction" "removals are missing from the changelog",
    "inputs_not_in_changelog" "the changelog does not say which inputs it stands for",
    "position_beyond_the_transaction" "the store says that it has read more of the changelog than it has",
    "state_not_restored" "a partition is worked on before its state is there",
    "going_back_not_noticed" "records that a client hands out again are processed again",
    "stopped_input_goes_on" "a partition that was stopped is read on",
    "resumed_input_skips" "a partition that goes on leaves out its next record",
    "restore_skips_records" "a restore misses the first records of the changelog that it needs",
    "tombstones_outlasted" "a store older than the changelog's tombstones, or a restore that took as long, goes on",
    "restore_ignores_removals" "a restore does not remove what was removed",
    "restore_ends_at_the_end" "a restore ends where the changelog does, whatever it stands for",
    "late_touch_ignored" "a touch after its milestone changes nothing",
    "older_track_accepted" "an older version of a milestone overwrites a newer one in a unit",
    "stage_change_ignored" "milestones do not look again when one of their stages changes",
    "touch_at_the_milestone_ignored" "a late touch at the very time of the latest milestone changes nothing",
    "move_leaves_no_mark" "a unit forgets where an identifier went",
    "hand_over_not_forwarded" "a hand-over to a unit that the identifier has left is dropped",
    "tracks_not_handed_over" "a moving identifier leaves its milestones behind",
    "last_part_of_hand_over_lost" "the last of several parts of a hand-over is not sent",
    "withdrawn_is_a_stage" "withdrawn milestones count as stages",
    "consent_ignored" "touches of people who revoked their consent count",
    "tie_break_by_identifier" "touches at one time are sorted by whoever brought them",
    "newcomers_touches_ignored" "what an identifier brings along when it arrives is not looked at",
    "stale_rows_accepted" "a ledger accepts rows older than those it has",
    "part_of_rows_lost" "of rows in several parts only the last are taken",
    "retraction_without_its_sign" "a retraction adds what it should take away",
    "rows_not_retracted" "rows that should be gone stay in the table",
    "revision_skips" "revisions grow by two",
    "window_ends_before_the_milestone" "a touch at the time of its milestone does not count",
    "window_begins_late" "a touch at the first moment of the window does not count",
    "lifecycle_without_end" "a life cycle reaches back beyond the horizon",
    "horizon_without_window" "touches are dropped that a milestone within the horizon may see",
    "seen_touches_dropped" "touches are dropped though a milestone that is known sees them",
    "put_off_and_forgotten" "what a resting unit puts off is never computed",
    "session_gap_exclusive" "a touch at the end of the session's gap begins a new session",
    "same_event_counts_twice" "an event that two people brought counts twice",
    "long_journey_loses_its_first" "a long journey does not keep its first touch",
    "latest_lead_opens_the_funnel" "the latest lead counts, not the earliest",
    "remainder_to_the_later" "ties of the largest remainder go to the later touch",
    "share_of_missing_stage_lost" "the share of the last stages is lost where they are missing",
    "unlink_ignored" "what was stated not to be one is joined",
    "first_seen_by_arrival" "the first sighting to arrive counts as the earliest",
    "latest_by_arrival" "the last statement to arrive counts as the latest",
    "trait_by_arrival" "the last trait to arrive wins",
    "quarantine_one_too_late" "a cluster may have one identifier more than its limit",
    "limit_one_too_high" "a profile may have one identifier more of a kind than its limit",
    "merged_records_count_twice" "records that were merged into one count twice against their limit",
    "never_join_forgotten" "two that must never be joined are joined by way of others",
    "explicit_link_is_weak" "a stated link is no stronger than a sighting",
    "subscribers_not_told" "people do not learn that their account's id has changed",
    "old_unit_not_told" "the old unit of an identifier keeps what it brought",
    "shared_not_noticed" "identifiers that too many claim join them all",
    "epoch_lost_in_merge" "a merged component goes on with the smaller epoch",
    "facts_stop_below_the_root" "news of an identifier that hangs under another one are dropped",
    "join_stops_below_the_root" "a request to join that reaches a member is dropped",
    "join_not_answered" "the higher of two roots does not answer the lower one",
    "last_part_of_component_lost" "the last of several parts of a component is not sent",
    "former_anchor_not_told" "a former anchor keeps its milestone",
    "stamp_not_raised" "changes of a milestone have the same stamp",
    "version_by_arrival" "the last version to arrive is the latest",
    "newcomer_not_announced" "a unit is not told of an identifier before what it brings",
}

/// The bug with this name.
pub fn find(name: &str) -> Option<&'static Bug> {
    ALL.iter().find(|bug| bug.name == name)
}

/// The report: which bugs were found, by which seed, and how.
pub fn report(found: &[(&Bug, Option<(u64, String)>)], from: u64, seeds: u64) -> String {
    let caught = found.iter().filter(|(_, first)| first.is_some()).count();
    let mut text = format!(
        "# Planted bugs\n\nThe simulator finds {caught} of {} bugs that were planted one at a time, within {seeds} seeds each. Made by\n\n    \
         cargo run --release -p tributary-simulator --features planted -- --planted all --report simulator/PLANTED.md\n\n\
         | bug | what goes wrong | seeds | how it shows |\n|---|---|--:|---|\n",
        found.len()
    );
    for (bug, first) in found {
        let (after, how) = match first {
            Some((seed, why)) => ((seed - from + 1).to_string(), shown(why)),
            None => (format!("> {seeds}"), "**not found**".to_owned()),
        };
        // Writing to a text cannot fail.
        let _infallible = writeln!(text, "| `{}` | {} | {after} | {how} |", bug.name, bug.what);
    }
    text
}

/// The beginning of the first line, fit for a table.
fn shown(why: &str) -> String {
    const LENGTH_MAX: usize = 100;
    let line = why.lines().next().unwrap_or_default().replace('|', "/");
    let mut short: String = line.chars().take(LENGTH_MAX).collect();
    if short.len() < line.len() {
        short.push_str(" …");
    }
    short
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn names_in(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names_in(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("planted.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                names.extend(text.split("planted(\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_bug_of_the_list_is_planted_and_every_planted_one_is_listed() {
        let mut planted = BTreeSet::new();
        for part in ["runtime", "identity", "attributor"] {
            names_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(part).join("src"), &mut planted);
        }
        let listed: BTreeSet<String> = ALL.iter().map(|bug| bug.name.to_owned()).collect();
        assert_eq!(planted, listed);
        assert_eq!(listed.len(), ALL.len());
    }
}
