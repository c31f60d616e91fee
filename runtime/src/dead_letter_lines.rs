//! One log line for a refused record: its position and the code of its reason, never its content. The number of lines per minute is
//! limited; then a count follows. So nothing is hidden, and a flood does not fill the log.
//!
//! Pure: the time is a parameter, and only [`Line::log`] writes.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use tributary_proto::DeadLetter;
//! use tributary_runtime::dead_letter_lines::{LINES_A_MINUTE, Line, DeadLetterLines, Refused};
//!
//! let (mut lines, start) = (DeadLetterLines::default(), Instant::now());
//! let letters = vec![DeadLetter { reason: "not_json".into(), topic: "sdk".into(), ..Default::default() }; LINES_A_MINUTE + 5];
//! assert_eq!(lines.note(Refused::of(&letters), start).len(), LINES_A_MINUTE);
//! assert_eq!(lines.due(start + Duration::from_secs(61)), Some(Line::More(5)));
//! ```

use std::time::{Duration, Instant};

use tributary_proto::DeadLetter;

/// Log lines per minute and worker; further refusals are only counted.
pub const LINES_A_MINUTE: usize = 10;

const MINUTE: Duration = Duration::from_secs(60);

/// A record, or an event in it, that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    reason: String,
    topic: String,
    partition: i32,
    offset: i64,
    event: u32,
}

/// The refusals of a batch: as many as may be logged, and their total number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    first: Vec<Place>,
    count: u64,
}

impl Refused {
    /// From these dead letters.
    pub fn of(letters: &[DeadLetter]) -> Self {
        let place = |letter: &DeadLetter| Place {
            reason: letter.reason.clone(),
            topic: letter.topic.clone(),
            partition: letter.partition,
            offset: letter.offset,
            event: letter.index,
        };
        Self { first: letters.iter().take(LINES_A_MINUTE).map(place).collect(), count: letters.len() as u64 }
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// One refusal.
    Refused(Place),
    /// The number of further refusals without a line of their own.
    More(u64),
}

impl Line {
    /// Logs it.
    pub fn log(&self, stage: &'static str) {
        match self {
            Self::Refused(Place { reason, topic, partition, offset, event }) => {
                tracing::warn!(stage, reason, topic, partition, offset, event, "refused: it is in the dead letters");
            }
            Self::More(count) => tracing::warn!(
                stage,
                count,
                "more were refused than have lines of their own: `tributary dead-letters list` shows them all"
            ),
        }
    }
}

/// Decides which lines are logged, for one worker.
#[derive(Debug, Default)]
pub struct DeadLetterLines {
    /// When the first line of the current minute was logged; `None` if there was no refusal recently.
    since: Option<Instant>,
    written: usize,
    withheld: u64,
}

impl DeadLetterLines {
    /// The lines for the refusals of a committed batch.
    pub fn note(&mut self, refused: Refused, now: Instant) -> Vec<Line> {
        let mut lines: Vec<Line> = self.due(now).into_iter().collect();
        if refused.count == 0 {
            return lines;
        }
        self.since.get_or_insert(now);
        let room = LINES_A_MINUTE.saturating_sub(self.written);
        let told = refused.first.into_iter().take(room).map(Line::Refused);
        let before = lines.len();
        lines.extend(told);
        let told = lines.len() - before;
        self.written += told;
        self.withheld += refused.count.saturating_sub(told as u64);
        lines
    }

    /// The line that is due at the end of a minute, even without further refusals.
    pub fn due(&mut self, now: Instant) -> Option<Line> {
        let over = self.since.is_some_and(|since| now.saturating_duration_since(since) >= MINUTE);
        if over { self.rest() } else { None }
    }

    /// The last line, when a worker ends.
    pub fn rest(&mut self) -> Option<Line> {
        let Self { withheld, .. } = std::mem::take(self);
        (withheld > 0).then_some(Line::More(withheld))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(offsets: std::ops::Range<i64>) -> Vec<DeadLetter> {
        let letter = |offset| DeadLetter {
            reason: "timestamp_missing".into(),
            topic: "offline".into(),
            partition: 3,
            offset,
            key: b"zhang@b-corp.example".to_vec(),
            payload: b"+8613800001111".to_vec(),
            detail: "secret".into(),
            field: "secret".into(),
            ..Default::default()
        };
        offsets.map(letter).collect()
    }

    #[test]
    fn the_first_few_refused_records_get_lines_and_the_rest_one_count_a_minute() {
        let (mut lines, start) = (DeadLetterLines::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(lines.note(Refused::of(&letters(0..4)), at(0)).len(), 4);
        assert_eq!(lines.note(Refused::of(&letters(4..400)), at(20)).len(), LINES_A_MINUTE - 4);
        assert_eq!(lines.note(Refused::of(&letters(400..500)), at(59)), []);
        assert_eq!(lines.due(at(59)), None);
        let next = lines.note(Refused::of(&letters(500..501)), at(60));
        assert_eq!((next.first(), next.len()), (Some(&Line::More(490)), 2));
        assert_eq!(lines.due(at(1_000)), None);
    }

    #[test]
    fn counts_not_yet_logged_are_logged_when_a_worker_ends() {
        let (mut lines, start) = (DeadLetterLines::default(), Instant::now());
        assert_eq!(lines.rest(), None);
        lines.note(Refused::of(&letters(0..12)), start);
        assert_eq!(lines.rest(), Some(Line::More(2)));
        assert_eq!(lines.rest(), None);
    }

    #[test]
    fn without_refused_records_nothing_is_logged() {
        let (mut lines, start) = (DeadLetterLines::default(), Instant::now());
        assert_eq!(lines.note(Refused::of(&[]), start), []);
        assert_eq!(lines.due(start + MINUTE * 2), None);
    }

    #[test]
    fn a_line_holds_the_place_and_nothing_of_the_record() {
        let shown = format!("{:?}", DeadLetterLines::default().note(Refused::of(&letters(7..8)), Instant::now()));
        for secret in ["zhang", "138", "secret"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("timestamp_missing") && shown.contains("offline") && shown.contains('7'), "{shown}");
    }
}
