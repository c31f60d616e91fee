//! The kinds of faults, how often each is injected, and how often each was.

use std::collections::{BTreeMap, BTreeSet};

use crate::draw::Draw;

macro_rules! faults {
    ($($fault:ident $name:literal $help:literal,)*) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $(#[doc = $help] $fault,)*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$fault,)*];

            /// Its name in reports and on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$fault => $name,)* }
            }

            /// What happens.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$fault => $help,)* }
            }
        }
    };
}

faults! {
    DuplicateInput "duplicate_input" "A record is sent again, later.",
    ReorderedInput "reordered_input" "A record overtakes another one.",
    PoisonInput "poison_input" "A record that ingest must refuse.",
    PoisonInbox "poison_inbox" "Bytes in an inbox that are no message.",
    PoisonedPartition "poisoned_partition" "So much of a partition is refused that it stands still, until somebody accepts it.",
    SmallBatches "small_batches" "A worker whose batches hold three records at most.",
    CacheEvicted "cache_evicted" "A worker that keeps no state in memory between batches.",
    CrashIdle "crash_idle" "A process dies between two batches.",
    CrashInRestore "crash_in_restore" "A process dies while it restores a state.",
    CrashBeforeBegin "crash_before_begin" "A process dies before its transaction begins.",
    CrashInTransaction "crash_in_transaction" "A process dies while it writes outputs and changes.",
    CrashBeforeOffsets "crash_before_offsets" "A process dies before its offsets are in the transaction.",
    CrashBeforeEnd "crash_before_end" "A process dies before it commits.",
    CrashBeforeStore "crash_before_store" "A process dies between the commit and the write to its store.",
    CrashAfterStore "crash_after_store" "A process dies after the write to its store.",
    UnflushedLost "unflushed_lost" "A crash takes away what a store had not flushed.",
    StateLost "state_lost" "A process starts on an empty disk.",
    StateOld "state_old" "A process starts on a disk that another one left long ago.",
    DiskFull "disk_full" "A store finds no room for what was committed, nor for what is restored, for a while.",
    ZombieInCommit "zombie_in_commit" "A process stands still in its commit, while others take its partitions.",
    ZombieIdle "zombie_idle" "A process stands still between batches, while others take its partitions.",
    Replaced "replaced" "A process stands still, and another one starts under its name.",
    ThrownOut "thrown_out" "A process is thrown out of its group.",
    Rebalance "rebalance" "Partitions are spread anew.",
    RebalanceInBatch "rebalance_in_batch" "Partitions are taken away while their records are in the batch.",
    OutcomeUnknownCommitted "outcome_unknown_committed" "A commit succeeds, and its answer is lost.",
    OutcomeUnknownLost "outcome_unknown_lost" "A commit is lost on its way.",
    OutcomeUnknownLate "outcome_unknown_late" "A commit comes late: its sender has given it up.",
    EndSentTwice "end_sent_twice" "A commit succeeds, and a copy of it comes late: the client lost its connection and sent it again.",
    OffsetsSentTwice "offsets_sent_twice" "Offsets are added to a transaction, and a copy of them comes late, for the same reason.",
    AbortAfterUnknown "abort_after_unknown" "An abort follows a commit whose outcome is not known.",
    LateMarks "late_marks" "The marks that end a transaction come late, one by one.",
    DeliveryFailed "delivery_failed" "A record of a transaction cannot be written.",
    TransactionExpired "transaction_expired" "The cluster aborts a transaction that is open for too long.",
    ForeignTransaction "foreign_transaction" "A stranger's transaction stays open for a while, and is aborted.",
    NoAnswer "no_answer" "The cluster does not say which offsets are committed.",
    WentBack "went_back" "A client hands out records again.",
    Compacted "compacted" "Old values are removed from the changelogs.",
    RestoreStalled "restore_stalled" "A restore stands still for about as long as tombstones are kept.",
    SettingsChanged "settings_changed" "Settings change on the way, and processes are restarted with the new ones, one by one.",
}

/// How often each kind strikes in one seed: some not at all, some all the time.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// One in so many chances; 0 is never.
    rates: BTreeMap<Fault, usize>,
    /// How many may still strike.
    left: usize,
    draw: Option<Draw>,
    /// How often each has struck.
    pub struck: BTreeMap<Fault, u64>,
}

impl Faults {
    /// The faults of a seed, less those in `without`, and no more than `most`.
    pub fn of(seed: u64, without: &BTreeSet<Fault>, most: usize) -> Self {
        let mut draw = Draw::new(seed, 2);
        let calm = draw.percent(4);
        let mut rates = BTreeMap::new();
        for fault in Fault::ALL {
            let rate = if draw.percent(45) { 0 } else { draw.pick(&[4, 10, 25, 60]) };
            rates.insert(*fault, if calm || without.contains(fault) { 0 } else { rate });
        }
        Self { rates, left: most, draw: Some(draw), struck: BTreeMap::new() }
    }

    /// Whether a fault strikes, given an opportunity.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = self.attempt(fault);
        if strikes {
            self.count(fault);
        }
        strikes
    }

    /// Whether a fault is tried, given an opportunity. Whoever tries it counts it when it has an effect.
    pub fn attempt(&mut self, fault: Fault) -> bool {
        let rate = self.rates.get(&fault).copied().unwrap_or(0);
        let tried = rate > 0 && self.left > 0 && self.draw.as_mut().is_some_and(|draw| draw.once_in(rate));
        self.left -= usize::from(tried);
        tried
    }

    /// A fault has struck.
    pub fn count(&mut self, fault: Fault) {
        *self.struck.entry(fault).or_default() += 1;
    }

    /// Nothing strikes any more.
    pub fn stop(&mut self) {
        self.left = 0;
    }
}
