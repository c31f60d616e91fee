//! A small disk: a file system in memory, in a mount namespace of its own, which goes with the process.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// With the other files there RocksDB must find a write buffer of room before it goes on: 64 MB on the embedded log.
pub const DISK_MB: u32 = 256;

/// `unshare` with what it takes here to mount something; `None` where that is not allowed.
pub fn namespace() -> Option<Command> {
    for own_user in [&[][..], &["--user", "--map-root-user"]] {
        let command = || {
            let mut command = Command::new("unshare");
            command.arg("--mount").args(own_user);
            command
        };
        let tried = command().args(["sh", "-c", "mount -t tmpfs tmpfs /mnt"]).stderr(Stdio::null()).status();
        if tried.is_ok_and(|status| status.success()) {
            return Some(command());
        }
    }
    eprintln!("==== full disk: NOT TESTED HERE: file systems cannot be mounted ====");
    None
}

/// Writes until there is no room.
pub fn fill(file: &Path) {
    let mut file = File::create(file).unwrap();
    let mut bytes = vec![7; 1 << 20];
    while !bytes.is_empty() {
        if file.write_all(&bytes).is_err() {
            bytes.truncate(bytes.len() / 2);
        }
    }
}
