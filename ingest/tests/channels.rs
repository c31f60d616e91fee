//! Landing URLs and referrers that people have asked about in public, each with its channel: bug reports of analytics programs, and what
//! Chinese networks and applications send.

#![allow(clippy::unwrap_used, reason = "tests")]

use tributary_ingest::Decoder;
use tributary_ingest::settings::Settings;
use tributary_proto::kind::Kinds;

const ROWS: &str = include_str!("channels.tsv");

#[test]
fn every_visit_has_its_channel() {
    let decoder = Decoder::new(&Settings::default(), &Kinds::default()).unwrap();
    let mut wrong = Vec::new();
    for row in ROWS.lines().skip(1) {
        let mut cells = row.split('\t');
        let (url, referrer, expected) = (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap());
        let found = decoder.classify(url, referrer).unwrap();
        if found.channel != expected {
            wrong.push(format!("{url} from {referrer:?}: {}, not {expected}", found.channel));
        }
    }
    assert!(ROWS.lines().count() > 70 && wrong.is_empty(), "{}", wrong.join("\n"));
}
