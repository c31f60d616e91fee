//! Commands that are killed at random moments, and given again.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The seed of a test; `TRIBUTARY_SEED` sets another.
pub fn random(what: &str) -> ChaCha8Rng {
    let seed = std::env::var("TRIBUTARY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(14);
    eprintln!("{what}: TRIBUTARY_SEED={seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// Gives a command again and again, killing it at random moments, until it ends by itself. Returns how often it was killed. One that has told
/// its end, so that nothing says any more that it is unfinished, is done, though it was killed on its way out.
pub fn kill_until_done(
    command: &dyn Fn() -> Command,
    unfinished: &dyn Fn() -> bool,
    random: &mut ChaCha8Rng,
    longest_us: u64,
) -> usize {
    let mut kills = 0;
    loop {
        let was_unfinished = unfinished();
        let mut child = command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Longer from time to time: it has to come to its end.
        let longest = longest_us * (1 + kills as u64 / 8);
        std::thread::sleep(Duration::from_micros(random.next_u64() % longest));
        let _ = child.kill();
        let found = child.wait_with_output().unwrap();
        match (found.status.signal(), found.status.code()) {
            (Some(9), _) if !unfinished() && (was_unfinished || !found.stdout.is_empty()) => return kills + 1,
            (Some(9), _) => kills += 1,
            // An exit code reports refused rows.
            (_, Some(0 | 1)) if !String::from_utf8_lossy(&found.stderr).contains("error:") => return kills,
            _ => panic!("{} {}", found.status, String::from_utf8_lossy(&found.stderr)),
        }
    }
}
