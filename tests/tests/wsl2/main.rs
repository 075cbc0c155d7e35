//! locald for Windows with its WSL2 machine: the real `locald.exe` under Wine,
//! the real Linux agent in the root file system that users get, and between
//! them a stand-in for WSL. `scripts/test-windows` prepares them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod build;
mod console;
mod faults;
mod folder;
mod life;
mod windows;

use windows::Windows;
