//! Starts the QEMU machine, step by step.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use protocol::build_id::Architecture;

use super::command_line::{self, Acceleration, CERTIFICATES, Programs};
use super::console::{self, ConsoleWait};
use super::dial;
use super::folder::{LISTENS, MachineFolder, Transport};
use super::guest::Guest;
use super::run_state::RunState;
use super::{QemuError, probe, supervisor};
use crate::machine::step::Steps;
use crate::output::Printer;
use crate::settings::Shape;

/// A guest with KVM listens within this time.
const KVM: Duration = Duration::from_secs(20);
/// An emulated guest listens within this time, on a busy system too.
const EMULATION: Duration = Duration::from_secs(90);
/// The guest's message when its kernel has started.
const KERNEL: &str = "locald: modules";

/// Starts the machine, unless another process has started it meanwhile. Returns
/// when the agent listens.
pub(super) async fn start(
    folder: &MachineFolder,
    shape: &Shape,
    guest: &Guest,
    printer: &mut Printer,
) -> Result<(), QemuError> {
    let waiting = || printer.note("Waiting for another locald that starts the machine");
    let _lock = folder.lock(waiting).await?;
    match folder.run_state() {
        RunState::Running | RunState::Suspended { .. } => return Ok(()),
        // The process that started the machine has ended. The guest continues.
        RunState::Starting => return listen(folder, EMULATION, LISTENS).await,
        RunState::None => {}
    }
    let mut start = Start {
        folder,
        shape,
        guest,
        printer,
        steps: Steps::begin(),
    };
    start.run().await
}

struct Start<'a> {
    folder: &'a MachineFolder,
    shape: &'a Shape,
    guest: &'a Guest,
    printer: &'a mut Printer,
    steps: Steps,
}

impl Start<'_> {
    async fn run(&mut self) -> Result<(), QemuError> {
        let (programs, transport) = probe::programs(self.guest.architecture)?;
        let accelerations = probe::accelerations(self.folder, self.guest.architecture);
        self.announce(accelerations[0]);
        self.prepare(transport)?;
        self.steps.end("disk", self.printer);
        for (number, acceleration) in accelerations.iter().enumerate() {
            let is_last = number + 1 == accelerations.len();
            match self.boot(&programs, *acceleration, transport).await {
                Ok(()) => break,
                Err(error) if is_last => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, "KVM");
                    self.folder.kill().await?;
                    probe::note_broken_kvm(self.folder);
                    self.printer
                        .note("KVM does not work here: QEMU emulates the machine, which is slower");
                }
            }
        }
        let path = self.folder.steps();
        let saved = self.steps.save(&path);
        saved.map_err(QemuError::io(format!("write {}", path.display())))
    }

    fn announce(&mut self, acceleration: Acceleration) {
        let processors = match self.shape.cpus {
            1 => "1 processor".to_owned(),
            many => format!("{many} processors"),
        };
        let text = format!(
            "Starting the machine: {processors}{}, {} MiB of memory, {}",
            match self.guest.architecture {
                own if own == Architecture::own() => String::new(),
                other => format!(" ({})", other.name()),
            },
            self.shape.memory >> 20,
            acceleration.name()
        );
        self.printer.note(&text);
    }

    /// Writes everything that a run needs, and removes the files of earlier
    /// runs.
    fn prepare(&self, transport: Transport) -> Result<(), QemuError> {
        let folder = self.folder;
        folder.create()?;
        folder.token()?;
        data_disk(folder, self.shape)?;
        for stale in ["processes.json", "end.json", "vhost.sock", "steps.json"] {
            folder.forget(&format!("run/{stale}"))?;
        }
        folder.forget(&format!("run/{}", dial::SOCKET))?;
        let path = folder.run().join(CERTIFICATES);
        let certificates = match probe::certificates() {
            Some(path) => fs_err::read(path).map_err(QemuError::io("read the certificates"))?,
            None => Vec::new(),
        };
        fs_err::write(&path, certificates)
            .map_err(QemuError::io(format!("write {}", path.display())))?;
        folder.write("run/transport.json", &transport)
    }

    async fn boot(
        &mut self,
        programs: &Programs,
        acceleration: Acceleration,
        transport: Transport,
    ) -> Result<(), QemuError> {
        let folder = self.folder;
        for stale in ["run/serial.log", "run/end.json"] {
            folder.forget(stale)?;
        }
        let config =
            command_line::run_config(programs, self.shape, self.guest, acceleration, transport);
        folder.write(&format!("run/{}", supervisor::RUN_CONFIG), &config)?;
        supervisor::spawn(&folder.run()).map_err(QemuError::io("start a supervisor"))?;
        let time = match acceleration {
            Acceleration::Kvm => KVM,
            Acceleration::Emulation => EMULATION,
        };
        listen(folder, time, KERNEL).await?;
        self.steps.end("kernel", self.printer);
        listen(folder, time, LISTENS).await?;
        self.steps.end("agent", self.printer);
        Ok(())
    }
}

/// Waits until the console shows `words`.
async fn listen(
    folder: &MachineFolder,
    time: Duration,
    words: &'static str,
) -> Result<(), QemuError> {
    let console = folder.clone();
    let waiting = move || console::await_words(&console, words, time);
    let heard = tokio::task::spawn_blocking(waiting).await;
    let heard = heard.unwrap_or_else(|error| Err(error.into()));
    match heard.map_err(QemuError::io("watch the machine's console"))? {
        ConsoleWait::Words => Ok(()),
        ConsoleWait::End => Err(QemuError::EndedAtStart {
            log: words_of(folder),
        }),
        ConsoleWait::Silence => Err(QemuError::StartDeadline {
            time,
            log: words_of(folder),
        }),
    }
}

/// Returns the last lines of all logs.
fn words_of(folder: &MachineFolder) -> Vec<String> {
    let logs = ["supervisor.log", "vhost.log", "qemu.log", "serial.log"];
    logs.into_iter().flat_map(|log| folder.tail(log)).collect()
}

/// Makes the data disk, or grows it.
fn data_disk(folder: &MachineFolder, shape: &Shape) -> Result<(), QemuError> {
    let disk = folder.disk();
    if !disk.exists() {
        let new = folder.root().join("new.qcow2");
        image(&["create", "-q", "-f", "qcow2"], &new, Some(shape.disk))?;
        return fs_err::rename(&new, &disk)
            .map_err(QemuError::io(format!("make {}", disk.display())));
    }
    let size = virtual_size(&disk)?;
    if size < shape.disk {
        image(&["resize", "-q"], &disk, Some(shape.disk))?;
    }
    Ok(())
}

/// Reads the virtual size of a qcow2 file, in bytes (QEMU,
/// docs/interop/qcow2.txt).
fn virtual_size(disk: &Path) -> Result<u64, QemuError> {
    use std::io::Read as _;
    let mut header = [0; 32];
    let read = fs_err::File::open(disk).and_then(|mut file| file.read_exact(&mut header));
    read.map_err(QemuError::io(format!("read {}", disk.display())))?;
    let size = header[24..]
        .iter()
        .fold(0, |size, byte| size << 8 | u64::from(*byte));
    if header.starts_with(b"QFI\xfb") {
        Ok(size)
    } else {
        let said = format!("{} is not a qcow2 file", disk.display());
        Err(QemuError::Program {
            program: "qemu-img",
            said,
        })
    }
}

fn image(arguments: &[&str], disk: &Path, size: Option<u64>) -> Result<(), QemuError> {
    let program = probe::image_tool()?;
    let mut command = Command::new(program);
    command.args(arguments).arg(disk);
    command.args(size.map(|size| size.to_string()));
    let output = command.output().map_err(QemuError::io("run qemu-img"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(QemuError::Program {
        program: "qemu-img",
        said,
    })
}
