//! What the agent asks of the Linux kernel: system calls, namespaces, limits,
//! processes that start afresh, and walks through directories.

pub mod descriptors;
pub mod namespace;
pub mod reexec;
pub(crate) mod syscall;
pub mod threads;
pub(crate) mod walk;
