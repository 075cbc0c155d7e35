//! A place where a program under test waits for the test.

use std::net::{TcpListener, TcpStream};

use crate::await_that;

/// Programs wait there by connecting, until the test lets them go.
#[derive(Debug)]
pub struct Gate {
    listener: TcpListener,
}

impl Gate {
    /// A closed one.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener }
    }

    /// Where programs connect; they may go on when the connection ends.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Waits for a program; it goes on when what this returns is dropped.
    pub fn await_program(&self) -> TcpStream {
        let mut waiting = None;
        await_that("a program waits at the gate", || {
            waiting = self.listener.accept().ok();
            waiting.is_some()
        });
        waiting.unwrap().0
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
