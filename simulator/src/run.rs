//! Runs one seed: its history under its faults, with the result.

use std::collections::{BTreeMap, BTreeSet};

use tributary_pipeline::stages::StageName;
use tributary_proto::{CreditUpdate, partition};
use tributary_runtime::dead_letter_limit::{DeadLetterLimits, LiveLimits};
use tributary_runtime::log::BatchLimits;
use tributary_runtime::topic::{Role, Topic};
use tributary_runtime::worker::WorkerOptions;

use crate::audit::{self, Counted, Sent};
use crate::cluster::Cluster;
use crate::draw::Draw;
use crate::faults::{Fault, Faults};
use crate::history::{Features, History, Outcome, Raw};
use crate::oracle;
use crate::pipeline;
use crate::sums::Coverage;
use crate::world::{Delivery, World};

/// Most rounds to drain, in each of which every process has a turn.
const ROUNDS_MAX: usize = 6_000;

/// How many chances a seed has to begin with former settings.
const FORMER_CHANCES: usize = 6;

/// What to run. Everything except the seed and the features serves to shrink a failing one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// The features of its history.
    pub features: Features,
    /// The positions of the records that are kept; `None` for all.
    pub keep: Option<Vec<usize>>,
    /// Faults that are not injected.
    pub without: BTreeSet<Fault>,
    /// How many faults may be injected once the history has begun.
    pub faults_max: usize,
}

impl Case {
    /// A seed with default features, unchanged.
    pub fn of(seed: u64) -> Self {
        Self::with(seed, Features::DEFAULT)
    }

    /// A seed with these features, unchanged.
    pub fn with(seed: u64, features: Features) -> Self {
        Self { seed, features, keep: None, without: BTreeSet::new(), faults_max: usize::MAX }
    }

    /// The command-line arguments for it.
    pub fn arguments(&self) -> String {
        let mut text = format!("--seed {}", self.seed);
        if self.features != Features::DEFAULT {
            text += &format!(" --features {}", self.features);
        }
        if let Some(keep) = &self.keep {
            let list: Vec<String> = keep.iter().map(usize::to_string).collect();
            text += &format!(" --keep {}", if list.is_empty() { "none".to_owned() } else { list.join(",") });
        }
        if !self.without.is_empty() {
            let list: Vec<&str> = self.without.iter().map(|fault| fault.name()).collect();
            text += &format!(" --without {}", list.join(","));
        }
        if self.faults_max < usize::MAX {
            text += &format!(" --faults {}", self.faults_max);
        }
        text
    }
}

/// The result of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Why it failed.
    pub failure: Option<String>,
    /// How often each fault was injected.
    pub struck: BTreeMap<Fault, u64>,
    /// Touches dropped because of their age.
    pub dropped: u64,
    /// Records from outside, duplicates included.
    pub records: usize,
    /// Distinct events.
    pub events: usize,
    /// Steps of workers.
    pub turns: u64,
    /// Counts of changes of credit rows.
    pub coverage: Coverage,
    /// The credit updates of every transaction, in the order of commits.
    pub credits: Vec<Vec<CreditUpdate>>,
    /// Everything that happened, if requested.
    pub trace: Vec<String>,
}

/// Runs a case. A panic counts as a failure.
pub fn run(case: &Case, trace: bool) -> Report {
    let attempt = std::panic::catch_unwind(|| attempt(case, trace));
    match attempt {
        Ok(Ok(report)) => report,
        Ok(Err(failure)) => Report { failure: Some(failure), ..Report::default() },
        Err(panic) => {
            let text =
                panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Report { failure: Some(format!("panic: {}", text.unwrap_or_default())), ..Report::default() }
        }
    }
}

fn attempt(case: &Case, trace: bool) -> Result<Report, String> {
    let mut history = History::with(case.seed, case.features);
    if let Some(keep) = &case.keep {
        let kept = history.records.iter().enumerate().filter(|(at, _)| keep.contains(at));
        history.records = kept.map(|(_, raw)| raw.clone()).collect();
    }
    let mut draw = Draw::new(case.seed, 1);
    let part_bytes_max = draw.percent(50).then(|| draw.between(200, 2_000));
    let rest_after = draw.percent(40).then(|| draw.below(30) as u64);
    let pipeline = pipeline::compile(&history.ingest, &history.rules, part_bytes_max, rest_after)?;
    let outcomes = history.outcomes(pipeline.decoder());
    let mut faults = Faults::of(case.seed, &case.without, case.faults_max);
    let (cluster, partitions) = cluster(&mut draw);
    let former = (0..FORMER_CHANCES).any(|_| faults.attempt(Fault::SettingsChanged));
    let former = former.then(|| history.former(case.seed, case.features));
    let compiled = |(ingest, rules)| pipeline::compile(&ingest, &rules, part_bytes_max, rest_after);
    let former = former.map(compiled).transpose()?;
    let world = World::new(cluster, faults, Draw::new(case.seed, 3), (former, pipeline), trace);
    let poisoned = world.around.attempts(Fault::PoisonedPartition);
    let limits = if poisoned { limits(&mut draw) } else { DeadLetterLimits::NONE };
    for (stage, count) in StageName::ALL.into_iter().zip(partitions) {
        world.around.cluster.borrow_mut().add_group(stage.name(), count);
        for number in 0..processes(&mut draw) {
            world.start(stage, &number.to_string(), options(&mut draw, &world, limits));
        }
    }
    let mut sent = send(&mut draw, &world, &history, &outcomes, partitions);
    if poisoned {
        poison(&mut draw, &world, &mut sent, partitions);
    }
    let mut ticks = 0;
    while world.failure().is_none() && (!world.all_delivered() || ticks < 1_500) {
        world.tick();
        ticks += 1;
    }
    let drained = world
        .failure()
        .map_or(Ok(()), Err)
        .and_then(|()| world.drain(ROUNDS_MAX, &|stopped| audit::beside_stopped(&world, stopped, &sent, &history.rules)));
    let audited = drained.and_then(|()| {
        let events: Vec<_> = outcomes.iter().flat_map(|outcome| outcome.events.clone()).collect();
        audit::audit(&world, &sent, &oracle::judge(&events, &history.rules), &history.rules)
    });
    let (counted, failure) = match audited {
        Ok(counted) => (counted, None),
        Err(why) => (Counted::default(), Some(why)),
    };
    let credits = audit::credits(&world.around.cluster.borrow()).unwrap_or_default();
    let report = Report {
        dropped: counted.dropped,
        coverage: counted.coverage,
        credits,
        failure,
        struck: world.around.faults.borrow().struck.clone(),
        records: sent.records,
        events: sent.events.len(),
        turns: world.turns(),
        trace: world.around.take_trace(),
    };
    world.end();
    Ok(report)
}

/// A cluster with 1 to 8 partitions per stage.
fn cluster(draw: &mut Draw) -> (Cluster, [u32; 3]) {
    let few = draw.percent(50);
    let mut count = |most: usize| draw.between(1, if few { most.min(3) } else { most }) as u32;
    let (raw, identity, attributor, outputs) = (count(3), count(8), count(8), count(3));
    let topics = Topic::ALL.map(|topic| match topic.spec().role {
        Role::Raw => (topic, raw),
        Role::Inbox { of } | Role::Changelog { of } => (topic, if of == "identity" { identity } else { attributor }),
        Role::Output | Role::Plans | Role::DeadLetters => (topic, outputs),
    });
    (Cluster::new(&topics), [raw, identity, attributor])
}

/// Limits low enough that a burst of refused records reaches them.
fn limits(draw: &mut Draw) -> DeadLetterLimits {
    let (percent, window) = (draw.pick(&[0, 60]), draw.between(8, 30) as u32);
    DeadLetterLimits { in_a_row: draw.between(3, 10) as u32, percent, window }
}

/// How many processes a stage has. Only one that is alone sends messages to other partitions directly.
fn processes(draw: &mut Draw) -> usize {
    if draw.percent(50) { 1 } else { draw.between(2, 3) }
}

fn options(draw: &mut Draw, world: &World, limits: DeadLetterLimits) -> WorkerOptions {
    let small = world.around.strikes(Fault::SmallBatches);
    let cache_bytes = if world.around.strikes(Fault::CacheEvicted) { 0 } else { draw.pick(&[2_000, 1 << 20]) };
    let records_max = if small { draw.between(1, 3) } else { draw.between(4, 60) };
    WorkerOptions {
        limits: BatchLimits { records_max, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 },
        transaction_bytes: draw.pick(&[usize::MAX, 5_000]),
        cache_bytes,
        json: BTreeSet::new(),
        refusals: LiveLimits::new(limits),
        unlimited: Vec::new(),
        behind_ms: None,
        logs_refusals: false,
    }
}

/// Schedules the history: out of order, with duplicates, and with garbage in between.
fn send(draw: &mut Draw, world: &World, history: &History, outcomes: &[Outcome], partitions: [u32; 3]) -> Sent {
    let mut sent = Sent::default();
    let mut list: Vec<usize> = (0..history.records.len()).collect();
    let faults = &world.around.faults;
    list.extend((0..history.records.len()).filter(|_| faults.borrow_mut().strikes(Fault::DuplicateInput)));
    if faults.borrow_mut().attempt(Fault::ReorderedInput) || draw.percent(50) {
        let reach = draw.pick(&[3, 20, 1_000]);
        let order = draw.order(list.len(), reach);
        let inversions = order.iter().enumerate().filter(|(at, from)| at != *from).count();
        (0..inversions).for_each(|_| faults.borrow_mut().count(Fault::ReorderedInput));
        list = order.into_iter().filter_map(|from| list.get(from).copied()).collect();
    }
    let [raw_partitions, identity, attributor] = partitions;
    for at in list {
        let (Some(raw), Some(outcome)) = (history.records.get(at), outcomes.get(at)) else { continue };
        sent.records += 1;
        sent.dead += outcome.dead as u64;
        if outcome.dead > 0 {
            faults.borrow_mut().count(Fault::PoisonInput);
        }
        for event in &outcome.events {
            sent.events.entry(audit::as_said(event)).or_insert_with(|| (0, event.clone())).0 += 1;
        }
        let anywhere = draw.below(raw_partitions as usize) as u32;
        world.deliver_later([delivery(raw, anywhere, identity)]);
        if faults.borrow_mut().strikes(Fault::PoisonInbox) {
            let (topic, count) = draw
                .pick(&[Some((Topic::IdentityInbox, identity)), Some((Topic::AttributorInbox, attributor))])
                .unwrap_or((Topic::IdentityInbox, identity));
            let key = format!("user_id\u{1f}\u{1f}garbage-{at}").into_bytes();
            let partition = partition::of(&key, count);
            sent.garbage += 1;
            let value = vec![0xff; draw.between(1, 4)];
            world.deliver_later([Delivery { topic, partition, timestamp_ms: raw.received_ms, key, value }]);
        }
    }
    sent
}

/// A record with its partition: any for a raw topic, else that of its key.
fn delivery(raw: &Raw, anywhere: u32, identity: u32) -> Delivery {
    let key = raw.key();
    let partition = if raw.topic == Topic::IdentityInbox { partition::of(&key, identity) } else { anywhere };
    Delivery { topic: raw.topic, partition, timestamp_ms: raw.received_ms, key, value: raw.value() }
}

/// Schedules a burst of records that must be refused, for one partition.
fn poison(draw: &mut Draw, world: &World, sent: &mut Sent, [raw, identity, attributor]: [u32; 3]) {
    const INPUTS: [Topic; 6] =
        [Topic::Sdk, Topic::Utm, Topic::Webhook, Topic::Offline, Topic::IdentityInbox, Topic::AttributorInbox];
    let topic = INPUTS.get(draw.below(INPUTS.len())).copied().unwrap_or(Topic::Offline);
    let (count, refused) = match topic {
        Topic::IdentityInbox => (identity, &mut sent.garbage),
        Topic::AttributorInbox => (attributor, &mut sent.garbage),
        _ => (raw, &mut sent.dead),
    };
    let partition = draw.below(count as usize) as u32;
    let burst = draw.between(5, 60);
    *refused += burst as u64;
    let letters = (0..burst).map(|at| {
        let key = format!("user_id\u{1f}\u{1f}poison-{at}").into_bytes();
        Delivery { topic, partition, timestamp_ms: 0, key, value: vec![0xff; 3] }
    });
    world.deliver_among(draw.below(1_000), letters);
}
