//! Settings have generations, so that a rolling restart with two configurations never swings back and forth.
//!
//! For each stage whose results depend on settings, the topic `plans` has every set of settings that was ever active, by digest. A process
//! that starts with new settings writes them as the next generation. A process that starts or runs with settings older than the newest
//! generation refuses to continue. Going back to former settings is an explicit command (`tributary plan accept`) and creates one more
//! generation. Several processes that start together with the same settings write the same record: that is one generation.
//!
//! Pure: the code that reads and writes the topic asks here. What a partition's state stores of it: [`RefusedGeneration::State`].

use tributary_proto::{Generation, Hash128, Message as _};

const DAY_MS: i64 = 86_400_000;

/// Why a process with these settings must stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedGeneration {
    /// Newer settings are in force.
    #[error(
        "stage {stage}: these settings are those of generation {own}, and those of generation {newest} are in force since then, written by {instance}: \
         start this process with the settings of the others, or, to go back to these, run `tributary plan accept` with them"
    )]
    Older {
        /// The stage.
        stage: String,
        /// The generation of these settings.
        own: u64,
        /// The newest one.
        newest: u64,
        /// The process that wrote it.
        instance: String,
    },
    /// Journeys could need touches older than those that were kept.
    #[error(
        "stage {stage}: a journey may look {needed} days back from the newest touch now (attribution.horizon_days and the longest window), and \
         what is stored goes back {kept}: {shorter}compute everything anew from the raw records, in a pipeline of its own or by `tributary \
         replay`; or, to go on with what is there, run `tributary plan accept` with these settings"
    )]
    NotKept {
        /// The stage.
        stage: String,
        /// How many days these settings need.
        needed: i64,
        /// How many days were kept.
        kept: i64,
        /// A shorter horizon that would work; empty if there is none.
        shorter: String,
    },
    /// The state of a partition was computed by newer settings.
    #[error(
        "it was computed by settings of generation {found}, and those of this process are of generation {own}: start it with the newest, \
         which `tributary plan show` tells"
    )]
    State {
        /// The generation of this process.
        own: u64,
        /// The generation of the state.
        found: u64,
    },
}

/// The generations read so far, in the order in which they were written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Generations(Vec<Generation>);

/// What a starting process has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// Nothing: its settings are the newest, with this generation.
    Newest(u64),
    /// Write this record, and read again.
    Write(Generation),
}

/// Circumstances under which settings come into force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether nothing was computed before, so that nothing can be missing.
    pub new: bool,
    /// Whether an operator has accepted these settings (`plan accept`), whatever was in force before.
    pub accepted: bool,
}

impl Generations {
    /// Adds a record of the topic.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn note(&mut self, bytes: &[u8]) -> Result<(), prost::DecodeError> {
        let found = Generation::decode(bytes)?;
        let same = |known: &Generation| (&known.stage, known.digest) == (&found.stage, found.digest);
        if self.0.iter().any(|known| same(known) && known.generation > found.generation) {
            return Ok(());
        }
        self.0.retain(|known| !same(known));
        self.0.push(found);
        Ok(())
    }

    /// The newest generation of a stage.
    pub fn newest(&self, stage: &str) -> Option<&Generation> {
        self.0.iter().filter(|known| known.stage == stage).max_by_key(|known| known.generation)
    }

    /// All, oldest first.
    pub fn all(&self) -> Vec<&Generation> {
        let mut all: Vec<&Generation> = self.0.iter().collect();
        all.sort_by_key(|known| (&known.stage, known.generation));
        all
    }

    /// What a process that starts with these settings has to do.
    ///
    /// # Errors
    /// Why they must not come into force.
    pub fn choose(&self, own: &Generation, terms: Terms) -> Result<Choice, RefusedGeneration> {
        let Some(newest) = self.newest(&own.stage) else {
            return Ok(Choice::Write(Generation { generation: 1, kept_ms: own.reach_ms, ..own.clone() }));
        };
        if newest.digest == own.digest {
            return Ok(self.alone(newest));
        }
        self.admits(own, terms.accepted)?;
        let next = Generation { generation: newest.generation + 1, ..own.clone() };
        if terms.new || terms.accepted {
            return Ok(Choice::Write(Generation { kept_ms: own.reach_ms, ..next }));
        }
        reaches(own, newest)?;
        Ok(Choice::Write(Generation { kept_ms: own.reach_ms.min(newest.kept_ms), ..next }))
    }

    /// For settings that are the newest: if two were written with the same number, the later one takes the next number.
    fn alone(&self, newest: &Generation) -> Choice {
        let same = |known: &&Generation| (&known.stage, known.generation) == (&newest.stage, newest.generation);
        match self.0.iter().filter(same).count() {
            1 => Choice::Newest(newest.generation),
            _ => Choice::Write(Generation { generation: newest.generation + 1, ..newest.clone() }),
        }
    }

    /// Whether a process may continue with these settings, given the generations read so far.
    ///
    /// # Errors
    /// When newer settings are in force.
    pub fn holds(&self, own: &Generation) -> Result<(), RefusedGeneration> {
        match self.newest(&own.stage) {
            Some(newest) if newest.digest != own.digest => self.admits(own, false),
            _ => Ok(()),
        }
    }

    /// Refuses settings that were replaced by newer ones.
    fn admits(&self, own: &Generation, accepted: bool) -> Result<(), RefusedGeneration> {
        let known = self.0.iter().find(|known| (&known.stage, known.digest) == (&own.stage, own.digest));
        match (known, self.newest(&own.stage)) {
            (Some(left), Some(newest)) if !accepted => Err(RefusedGeneration::Older {
                stage: own.stage.clone(),
                own: left.generation,
                newest: newest.generation,
                instance: newest.instance.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// Refuses settings whose journeys need older touches than those stored.
fn reaches(own: &Generation, newest: &Generation) -> Result<(), RefusedGeneration> {
    if own.reach_ms <= newest.kept_ms {
        return Ok(());
    }
    let horizon_ms = newest.kept_ms - own.window_ms;
    let shorter = match horizon_ms >= own.window_ms {
        true => format!("set attribution.horizon_days to {} at most; or ", horizon_ms / DAY_MS),
        false => String::new(),
    };
    let (needed, kept) = (own.reach_ms / DAY_MS, newest.kept_ms / DAY_MS);
    Err(RefusedGeneration::NotKept { stage: own.stage.clone(), needed, kept, shorter })
}

/// The key of a generation's record.
pub fn key(of: &Generation) -> Vec<u8> {
    format!("{}/{}", of.stage, digest_text(of.digest)).into_bytes()
}

/// A digest as text.
pub fn digest_text(digest: u64) -> String {
    format!("{digest:016x}")
}

/// A digest of texts that decide what is computed. Never 0, which means none.
pub fn digest(text: &str) -> u64 {
    Hash128::of(text.as_bytes()).head().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(digest: u64, horizon_days: i64, window_days: i64) -> Generation {
        let reach_ms = (horizon_days + window_days) * DAY_MS;
        Generation { stage: "attributor".into(), digest, reach_ms, window_ms: window_days * DAY_MS, ..Generation::default() }
    }

    /// The topic in memory.
    #[derive(Default)]
    struct Topic(Vec<Vec<u8>>);

    impl Topic {
        fn read(&self) -> Generations {
            let mut known = Generations::default();
            self.0.iter().for_each(|record| known.note(record).unwrap());
            known
        }

        fn write(&mut self, generation: &Generation) {
            self.0.push(generation.encode_to_vec());
        }

        /// Starts like a process: repeats until its settings are the newest.
        fn start(&mut self, own: &Generation, terms: Terms) -> Result<u64, RefusedGeneration> {
            loop {
                match self.read().choose(own, terms)? {
                    Choice::Newest(generation) => return Ok(generation),
                    Choice::Write(next) => self.write(&next),
                }
            }
        }
    }

    #[test]
    fn settings_come_into_force_one_after_the_other_and_none_twice() {
        let mut topic = Topic::default();
        let (a, b) = (own(7, 730, 540), own(8, 730, 540));
        assert_eq!(topic.start(&a, Terms::default()), Ok(1));
        assert_eq!(topic.start(&a, Terms::default()), Ok(1), "the same settings are the same generation");
        assert_eq!(topic.start(&b, Terms::default()), Ok(2));
        assert!(topic.read().holds(&b).is_ok());
        for refused in [topic.start(&a, Terms::default()).unwrap_err(), topic.read().holds(&a).unwrap_err()] {
            assert!(matches!(refused, RefusedGeneration::Older { own: 1, newest: 2, .. }), "{refused}");
        }
        let accepted = Terms { accepted: true, ..Terms::default() };
        assert_eq!(topic.start(&a, accepted), Ok(3), "who goes back says so");
        assert_eq!(topic.start(&a, Terms::default()), Ok(3));
        assert!(topic.read().holds(&b).is_err() && topic.start(&b, Terms::default()).is_err());
        let identity = Generation { stage: "identity".into(), ..b };
        assert_eq!(topic.start(&identity, Terms::default()), Ok(1), "each stage has its own");
    }

    #[test]
    fn instances_that_start_together_with_the_same_settings_are_one_generation() {
        let mut topic = Topic::default();
        topic.start(&own(7, 730, 540), Terms::default()).unwrap();
        let next = own(8, 730, 540);
        // Two processes read before either writes; a third dies after its write.
        for _ in 0..3 {
            let mut early = Topic(topic.0[..1].to_vec());
            early.start(&next, Terms::default()).unwrap();
            topic.0.extend(early.0.drain(1..));
        }
        assert_eq!(topic.0.len(), 4);
        assert_eq!(topic.start(&next, Terms::default()), Ok(2));
    }

    #[test]
    fn of_two_instances_that_start_together_with_different_settings_one_wins() {
        let mut topic = Topic::default();
        topic.start(&own(7, 730, 540), Terms::default()).unwrap();
        let (a, b) = (own(8, 730, 540), own(9, 730, 540));
        for racer in [&a, &b] {
            let Ok(Choice::Write(next)) = Topic(topic.0[..1].to_vec()).read().choose(racer, Terms::default()) else { panic!() };
            assert_eq!(next.generation, 2);
            topic.write(&next);
        }
        assert_eq!(topic.start(&b, Terms::default()), Ok(3), "it was written later, under a number of its own");
        assert!(topic.read().holds(&a).is_err() && topic.start(&a, Terms::default()).is_err());
    }

    #[test]
    fn a_window_that_reaches_further_than_what_was_kept_is_refused() {
        let mut topic = Topic::default();
        topic.start(&own(1, 730, 540), Terms::default()).unwrap();
        let told = |topic: &mut Topic, next: &Generation| topic.start(next, Terms::default()).unwrap_err().to_string();
        let longer = told(&mut topic, &own(2, 730, 600));
        assert!(longer.contains("1330 days") && longer.contains("back 1270"), "{longer}");
        assert!(longer.contains("horizon_days to 670 at most"), "{longer}");
        assert!(!told(&mut topic, &own(2, 730, 700)).contains("at most"), "no horizon is shorter than its windows");
        assert_eq!(topic.start(&own(3, 670, 600), Terms::default()), Ok(2), "a shorter horizon makes room");
        assert_eq!(topic.start(&own(4, 300, 100), Terms::default()), Ok(3));
        assert!(told(&mut topic, &own(1, 730, 540)).contains("generation 1"));
        let back = told(&mut topic, &own(5, 730, 540));
        assert!(back.contains("back 400"), "what was dropped meanwhile is gone: {back}");
        assert_eq!(topic.start(&own(5, 730, 540), Terms { accepted: true, new: false }), Ok(4));
        let mut young = Topic(topic.0.clone());
        assert_eq!(young.start(&own(6, 900, 900), Terms { accepted: false, new: true }), Ok(5), "nothing is missing yet");
    }
}
