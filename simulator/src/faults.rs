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
    PoisonInbox "poison_inbox" "Bytes in an inbox that are not a message.",
    PoisonedPartition "poisoned_partition" "So many records of a partition are refused that it stops, until an operator accepts it.",
    SmallBatches "small_batches" "A worker whose batches have three records at most.",
    CacheEvicted "cache_evicted" "A worker that keeps no state in memory between batches.",
    CrashIdle "crash_idle" "A process dies between two batches.",
    CrashInRestore "crash_in_restore" "A process dies while it restores a state.",
    CrashBeforeBegin "crash_before_begin" "A process dies before its transaction begins.",
    CrashInTransaction "crash_in_transaction" "A process dies while it writes outputs and changes.",
    CrashBeforeOffsets "crash_before_offsets" "A process dies before its offsets are in the transaction.",
    CrashBeforeEnd "crash_before_end" "A process dies before it commits.",
    CrashBeforeStore "crash_before_store" "A process dies between the commit and the write to its store.",
    CrashAfterStore "crash_after_store" "A process dies after the write to its store.",
    UnflushedLost "unflushed_lost" "A crash loses what a store had not flushed.",
    StateLost "state_lost" "A process starts on an empty disk.",
    StateOld "state_old" "A process starts on the disk of another one that stopped long ago.",
    DiskFull "disk_full" "For a while the disk is full: neither committed nor restored data can be written to the store.",
    ZombieInCommit "zombie_in_commit" "A process is paused in its commit, while others take over its partitions.",
    ZombieIdle "zombie_idle" "A process is paused between batches, while others take over its partitions.",
    Replaced "replaced" "A process is paused, and another one starts under its name.",
    ThrownOut "thrown_out" "A process is removed from its group.",
    Rebalance "rebalance" "Partitions are assigned anew.",
    RebalanceInBatch "rebalance_in_batch" "Partitions are revoked while their records are in the batch.",
    OutcomeUnknownCommitted "outcome_unknown_committed" "A commit succeeds, and its answer is lost.",
    OutcomeUnknownLost "outcome_unknown_lost" "A commit is lost on its way.",
    OutcomeUnknownLate "outcome_unknown_late" "A commit arrives late, after its sender has given it up.",
    EndSentTwice "end_sent_twice" "A commit succeeds, and a copy of it arrives late: the client lost its connection and sent it again.",
    OffsetsSentTwice "offsets_sent_twice" "Offsets are added to a transaction, and a copy of them arrives late, for the same reason.",
    AbortAfterUnknown "abort_after_unknown" "An abort follows a commit whose outcome is not known.",
    LateMarks "late_marks" "The markers that end a transaction are written late, one by one.",
    DeliveryFailed "delivery_failed" "A record of a transaction cannot be written.",
    TransactionExpired "transaction_expired" "The cluster aborts a transaction that is open for too long.",
    ForeignTransaction "foreign_transaction" "A transaction of another application stays open for a while, and is aborted.",
    NoAnswer "no_answer" "The cluster does not answer which offsets are committed.",
    WentBack "went_back" "A client delivers records again.",
    Compacted "compacted" "Old values are removed from the changelogs.",
    RestoreStalled "restore_stalled" "A restore is paused for about as long as tombstones are kept.",
    SettingsChanged "settings_changed" "Settings change during the run, and processes are restarted with the new ones, one by one.",
}

/// How often each fault is injected in one seed: some never, some very often.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// By fault, one in how many opportunities; 0 is never.
    rates: BTreeMap<Fault, usize>,
    /// How many faults may still be injected.
    left: usize,
    draw: Option<Draw>,
    /// How often each was injected.
    pub struck: BTreeMap<Fault, u64>,
}

impl Faults {
    /// The faults of a seed, without those in `without`, and at most `most` of them.
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

    /// Decides at an opportunity whether a fault is injected, and counts it.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = self.attempt(fault);
        if strikes {
            self.count(fault);
        }
        strikes
    }

    /// Decides at an opportunity whether a fault is tried. The caller counts it if it has an effect.
    pub fn attempt(&mut self, fault: Fault) -> bool {
        let rate = self.rates.get(&fault).copied().unwrap_or(0);
        let tried = rate > 0 && self.left > 0 && self.draw.as_mut().is_some_and(|draw| draw.once_in(rate));
        self.left -= usize::from(tried);
        tried
    }

    /// Counts a fault.
    pub fn count(&mut self, fault: Fault) {
        *self.struck.entry(fault).or_default() += 1;
    }

    /// No more faults from now on.
    pub fn stop(&mut self) {
        self.left = 0;
    }
}
