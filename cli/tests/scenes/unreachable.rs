//! A broker that was never there: what is waited for is said, nobody gives up, and being told to stop is enough.

use crate::support::tributary;
use crate::support::watched::Watched;

/// Nobody listens on port 1; no name ends in `invalid`.
const NOWHERE: [(&str, &str); 2] = [
    ("127.0.0.1:1", "nothing listens there: check kafka.brokers"),
    ("nobody.invalid:9092", "there is no such host: check kafka.brokers"),
];

fn says_what_it_waits_for(arguments: &[&str], brokers: &str, why: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tributary(&[
        format!("kafka.brokers={brokers}"),
        format!("state.path={}", folder.path().join("state").display()),
        "collector.listen=127.0.0.1:0".to_owned(),
        "collector.write_keys.web=key-of-a-test".to_owned(),
    ]);
    command.args(arguments);
    let mut watched = Watched::start(command, folder.path().join("log"));
    let look = watched.wait("unready, and knows why", |look| look.reasons.contains("no broker has answered"));
    assert_eq!((look.ready, look.live, look.brokers()), (Some(false), Some(true), Some(0.0)));
    assert!(look.lags().is_empty());
    let log = watched.view.log();
    assert!(log.contains(&format!("waiting for a broker (kafka.brokers = {brokers})")) && log.contains(why), "{log}");
    // It would be half a minute, were an answer waited for.
    let took = watched.terminate();
    assert!(took.as_secs() < 10, "{took:?}");
}

#[test]
fn a_service_without_brokers_logs_what_it_waits_for_and_can_be_stopped() {
    for (brokers, why) in NOWHERE {
        says_what_it_waits_for(&["run"], brokers, why);
    }
}

#[test]
fn a_run_until_the_end_and_the_collector_without_brokers_do_too() {
    let (brokers, why) = NOWHERE[0];
    says_what_it_waits_for(&["run", "--until-idle", "1"], brokers, why);
    says_what_it_waits_for(&["run", "--collect"], brokers, why);
    says_what_it_waits_for(&["collect"], brokers, why);
}
