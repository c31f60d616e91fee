//! What makes a log and a local store exactly-once, without any client in it: the decisions, and the order of steps.
//!
//! The session on Kafka and the simulated one read facts (assigned partitions, committed offsets, the content of the changelog) and follow
//! the decisions made here. So what a simulation shows about the decisions holds for both.
//!
//! | what | where |
//! |---|---|
//! | which partitions are held, and which records may be taken | [`Ownership`] |
//! | one transaction a batch, then the store | [`commit()`] |
//! | recovery after a failed transaction | [`recover()`] |
//! | from where a state is restored, and when it is current | [`Restore`] |
//! | the input offsets that a state stands for | [`Inputs`] |

mod commit;
mod inputs;
mod ownership;
mod recovery;
mod restore;
mod store;

pub use commit::{Ended, Failed, TransactionWriter, commit};
pub use inputs::{Inputs, VERSION, VERSION_HEADER};
pub use ownership::{Admission, Owned, Ownership, Phase};
pub use recovery::{Recovery, recover};
pub use restore::{Change, Progress, Restore};
pub use store::{INPUTS_KEY, Position, Store, StoreFailure};
