//! The pipeline in a hostile world: processes killed, stopped and doubled, brokers killed; and not one record is lost or done twice.
//!
//! `TRIBUTARY_SOAK_EVENTS`, `_KILLS`, `_BROKER_KILLS` and `_SEED` make it longer; see `scripts/hostile`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod support;

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use support::audit::differences;
use support::broker::Broker;
use support::{Raw, finish, history, pipeline, send, tributary};
use tributary_pipeline::settings::Settings;

/// Longest wait for one of two with the same name to stop: sessions must end first, and a slow machine may need several attempts.
const PATIENCE: Duration = Duration::from_mins(5);

/// A number that the long runs set.
fn given(name: &str, short: u64) -> u64 {
    std::env::var(name).map_or(short, |given| given.parse().unwrap())
}

/// A pipeline and what is done to it.
struct World {
    sets: Vec<String>,
    settings: Settings,
    folder: tempfile::TempDir,
    draw: ChaCha8Rng,
}

/// A process of the pipeline, with a name and a state folder of its own, the same in every life.
struct Worker {
    name: String,
    stages: &'static str,
    /// Its standard error, over all its restarts.
    log: PathBuf,
    running: Option<Child>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _gone_already = child.kill();
            let _gone_already = child.wait();
        }
    }
}

/// Its number, the same on all systems.
const SIGTERM: i32 = 15;
const ALL: &str = "ingest,identity,attributor";

impl World {
    fn new(brokers: &str, name: &str, replicas: u32, seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let more = [format!("topics.replication_factor={replicas}"), "worker.batch_records=300".to_owned()];
        let sets = pipeline(brokers, name, folder.path(), &more);
        let mut settings = support::settings();
        settings.kafka.brokers = brokers.to_owned();
        settings.topics.prefix = name.to_owned();
        Self { sets, settings, folder, draw: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.draw.next_u64() % limit.max(1)
    }

    fn start(&self, name: &str, stages: &'static str) -> Worker {
        let log = self.folder.path().join(format!("{name}.log"));
        let mut worker = Worker { name: name.to_owned(), stages, log, running: None };
        self.start_again(&mut worker);
        worker
    }

    fn start_again(&self, worker: &mut Worker) {
        let mut sets = self.sets.clone();
        sets.push(format!("kafka.instance={}", worker.name));
        sets.push(format!("state.path={}", self.folder.path().join("state").join(&worker.name).display()));
        worker.running = Some(self.run(sets, worker));
    }

    /// Another process with the name of `worker`, on a disk of its own.
    fn double(&self, worker: &Worker, number: u64) -> Worker {
        let mut double = Worker {
            name: worker.name.clone(),
            stages: worker.stages,
            log: self.folder.path().join(format!("double{number}.log")),
            running: None,
        };
        let mut sets = self.sets.clone();
        sets.push(format!("kafka.instance={}", worker.name));
        sets.push(format!("state.path={}", self.folder.path().join(format!("state/double{number}")).display()));
        double.running = Some(self.run(sets, &double));
        double
    }

    fn run(&self, sets: Vec<String>, worker: &Worker) -> Child {
        let log = File::options().create(true).append(true).open(&worker.log).unwrap();
        tributary(&sets).args(["run", "--stages", worker.stages]).stderr(log).spawn().unwrap()
    }

    /// Nothing is left to do, and nothing was done twice or not at all.
    fn check(&self, records: &[Raw]) {
        let mut sets = self.sets.clone();
        sets.push("kafka.instance=last".to_owned());
        sets.push(format!("state.path={}", self.folder.path().join("state/last").display()));
        finish(&sets);
        let found = differences(&self.settings, records);
        assert!(found.is_empty(), "{found:#?}\n{}", self.complaints());
    }

    /// What the processes have logged above the level info.
    fn complaints(&self) -> String {
        let mut said = String::new();
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = fs::read_to_string(&path).unwrap();
                for line in text.lines().filter(|line| !line.contains(" INFO ")) {
                    said += &format!("{}: {line}\n", path.file_stem().unwrap().display());
                }
            }
        }
        said
    }
}

impl Worker {
    fn signal(&self, signal: &str) {
        support::signal::send(self.running.as_ref().unwrap().id(), signal);
    }

    fn kill(&mut self) {
        let mut child = self.running.take().unwrap();
        assert!(child.try_wait().unwrap().is_none(), "{} has stopped by itself: {}", self.name, self.said());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM; the exit must be clean, unless it had only just been started and had nothing to end.
    fn leave(mut self) {
        self.signal("TERM");
        let status = self.running.take().unwrap().wait().unwrap();
        assert!(status.success() || status.signal() == Some(SIGTERM), "{}: {status}: {}", self.name, self.said());
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

fn chunks(records: &[Raw], rounds: usize) -> impl Iterator<Item = &[Raw]> {
    records.chunks(records.len().div_ceil(rounds))
}

/// Each takes a machine for itself: a broker that gets no time ends sessions of members that live.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn processes_and_brokers_killed_at_any_moment_lose_nothing_and_double_nothing() {
    let _alone = alone();
    let (events, seed) = (given("TRIBUTARY_SOAK_EVENTS", 4_000), given("TRIBUTARY_SOAK_SEED", 1));
    let (kills, broker_kills) = (given("TRIBUTARY_SOAK_KILLS", 10), given("TRIBUTARY_SOAK_BROKER_KILLS", 0));
    // A single broker that dies before it has written the markers of a committed transaction has lost them when it is started again.
    let brokers = if broker_kills > 0 { 3 } else { 1 };
    let Some(broker) = Broker::start_many("-soak", brokers) else { return };
    let mut world = World::new(&broker.address, "soak", brokers, seed);
    let records = history(events / 20, seed, true);
    let begun = Instant::now();
    let mut workers = vec![world.start("i", "ingest"), world.start("d", "identity"), world.start("a", "attributor")];
    let mut killed = 0;
    for (round, chunk) in chunks(&records, usize::try_from(kills).unwrap()).enumerate() {
        let round = round as u64;
        if round == kills / 2 {
            // From here on there are several of every stage.
            workers.into_iter().for_each(Worker::leave);
            workers = vec![world.start("x", ALL), world.start("y", ALL), world.start("d", "identity")];
            workers.push(world.start("a", "ingest,attributor"));
        }
        send(&world.sets, chunk);
        sleep(Duration::from_millis(world.below(1_500)));
        let victim = usize::try_from(world.below(workers.len() as u64)).unwrap();
        workers[victim].kill();
        killed += 1;
        sleep(Duration::from_millis(world.below(400)));
        world.start_again(&mut workers[victim]);
        if broker_kills > 0 && round.is_multiple_of((kills / broker_kills).max(1)) {
            let number = u32::try_from(world.below(u64::from(brokers))).unwrap() + 1;
            broker.kill(number);
            sleep(Duration::from_millis(world.below(15_000)));
            broker.start_again();
            // The others go on: but it must have caught up before the next one is killed.
            sleep(Duration::from_secs(10));
        }
        if round % 10 == 9 {
            eprintln!("{round} rounds, {killed} processes killed, {} s", begun.elapsed().as_secs());
        }
    }
    workers.into_iter().for_each(Worker::leave);
    world.check(&records);
    eprintln!(
        "{} events, {killed} processes and {broker_kills} brokers killed in {} s, seed {seed}: 0 differences, duplicates or gaps",
        records.len(),
        begun.elapsed().as_secs()
    );
}

#[test]
fn paused_processes_that_resume_do_no_harm() {
    let _alone = alone();
    let seed = given("TRIBUTARY_SOAK_SEED", 1);
    let rounds = given("TRIBUTARY_SOAK_ROUNDS", 2);
    let Some(broker) = Broker::start("-zombies") else { return };
    let world = World::new(&broker.address, "zombies", 1, seed);
    let records = history(200, seed, true);
    let mut parts = chunks(&records, usize::try_from(rounds + rounds.div_ceil(2)).unwrap() + 3);
    let mut next = || send(&world.sets, parts.next().unwrap_or_default());
    let zombie = world.start("zombie", ALL);
    let first = world.start("first", ALL);
    next();
    sleep(Duration::from_secs(4));
    next();
    zombie.signal("STOP");
    next();
    // Longer than a session: the other one takes over.
    sleep(Duration::from_secs(15));
    zombie.signal("CONT");
    // Members come and go.
    for _ in 0..rounds {
        next();
        let guest = world.start("guest", ALL);
        sleep(Duration::from_secs(3));
        guest.leave();
    }
    let last = (0..rounds.div_ceil(2)).fold(first, |first, number| share_a_name(&world, first, number, &mut next));
    last.leave();
    zombie.leave();
    world.check(&records);
}

/// Two with one name: the later one continues, the other logs why it stops.
fn share_a_name(world: &World, mut first: Worker, number: u64, next: &mut dyn FnMut()) -> Worker {
    let double = world.double(&first, number);
    next();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = first.running.as_mut().unwrap().try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < PATIENCE, "both go on: {}\n{}", first.said(), double.said());
        sleep(Duration::from_millis(100));
    };
    assert_eq!(status.code(), Some(1));
    assert!(first.said().contains("another process has the same instance name"), "{}", first.said());
    double
}
