//! Machines as their users see them: real virtual machines, a real sshd.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod arm64;
mod folder;
mod heal;
mod life;
mod lima;
mod memory;
mod power;
mod ssh;
mod wrong;
