//! What `wsl.exe` says in English.

use std::io;

use super::Call;
use crate::frame::{self, Kind};

/// A failure, as WSL words it.
#[derive(Debug)]
pub(crate) struct Refusal {
    message: &'static str,
    code: String,
}

impl Refusal {
    pub(crate) fn new(message: &'static str, code: &str) -> Self {
        let code = code.to_owned();
        Self { message, code }
    }

    pub(crate) fn not_found() -> Self {
        let message = "There is no distribution with the supplied name.";
        Self::new(message, "Wsl/Service/WSL_E_DISTRO_NOT_FOUND")
    }

    /// What the test wants to see.
    pub(crate) fn fault(code: &str) -> Self {
        let message = "The virtual machine could not be started.";
        Self::new(
            message,
            &format!("Wsl/Service/CreateInstance/CreateVm/{code}"),
        )
    }
}

impl Call {
    /// Own words, in the encoding that the user wants.
    pub(crate) fn say(&mut self, text: &str) -> io::Result<()> {
        let text = text.replace('\n', "\r\n");
        let bytes = if self.utf8 {
            text.into_bytes()
        } else {
            text.encode_utf16().flat_map(u16::to_le_bytes).collect()
        };
        frame::write(&mut self.client, Kind::Output, &bytes)
    }

    /// The end.
    pub(crate) fn exit(&mut self, code: i32) -> io::Result<()> {
        frame::write(&mut self.client, Kind::Exit, &code.to_le_bytes())
    }

    /// A failure: on standard output, as the real one.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) -> io::Result<()> {
        self.say(&format!(
            "{}\nError code: {}\n",
            refusal.message, refusal.code
        ))?;
        self.exit(-1)
    }

    pub(crate) fn done(&mut self) -> io::Result<()> {
        self.say("The operation completed successfully. \n")?;
        self.exit(0)
    }
}
