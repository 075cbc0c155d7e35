//! Wraps the agent's use of Linux: system calls, namespaces, limits,
//! re-execution, and walks through directories.

pub mod descriptors;
pub(crate) mod limits;
pub mod namespace;
pub(crate) mod reexec;
pub(crate) mod syscall;
pub mod threads;
pub(crate) mod walk;
