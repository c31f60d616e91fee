//! Same events, same answer: the real stages under every fault that a seed can think of, judged by a naive computation.

pub mod check;
pub mod draw;
pub mod history;
pub mod oracle;
