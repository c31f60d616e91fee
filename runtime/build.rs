//! Tells the program which compiler has built it, for the metric `tributary_build_info`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let said = Command::new(compiler).arg("--version").output().map(|said| said.stdout).unwrap_or_default();
    // `rustc 1.95.0 (...)`
    let said = String::from_utf8_lossy(&said).split(' ').nth(1).unwrap_or("unknown").trim().to_owned();
    println!("cargo::rustc-env=TRIBUTARY_RUSTC={said}");
}
