//! What the agent asks of the Linux kernel: system calls, namespaces, limits,
//! processes that start afresh, and walks through directories.

pub mod descriptors;
pub(crate) mod limits;
pub mod namespace;
pub(crate) mod reexec;
pub(crate) mod syscall;
pub mod threads;
pub(crate) mod walk;
