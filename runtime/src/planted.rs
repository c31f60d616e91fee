//! Bugs that a test build can switch on, one at a time: how it is known that the simulator finds bugs.
//!
//! A place where a bug is planted reads `if planted("name") { wrong } else { right }`. Without the feature `planted` the function is
//! `false` for the compiler, and the wrong branch is gone.

/// Whether this planted bug is switched on: never, without the feature `planted`.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn planted(_name: &str) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use switched::{planted, switch_on};

#[cfg(feature = "planted")]
mod switched {
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<&'static str> = const { Cell::new("") };
    }

    /// Whether this planted bug is switched on in this thread.
    pub fn planted(name: &str) -> bool {
        ON.get() == name
    }

    /// Switches a planted bug on in this thread, and all others off; none is named "".
    pub fn switch_on(name: &'static str) {
        ON.set(name);
    }
}
