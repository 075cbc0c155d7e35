//! Writes QEMU's command line. QEMU works in the folder of the run, and paths
//! are relative to it, so no path is too long for a socket or contains a comma
//! of the user's.

use protocol::build_id::Architecture;

use super::dial::SOCKET;
use super::folder::Transport;
use super::guest::Guest;
use super::supervisor::{ChildCommand, DEVICE_SOCKET, RunConfig};
use crate::settings::Shape;

/// The file with the certificates that the guest trusts.
pub(super) const CERTIFICATES: &str = "certificates.pem";

/// How QEMU executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acceleration {
    /// On the processor, by KVM.
    Kvm,
    /// By emulation: slower, and works on every system.
    Emulation,
}

impl Acceleration {
    /// Returns the name for messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Emulation => "emulation",
        }
    }
}

/// The programs that a run needs.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) qemu: String,
    /// Present if the kernel has no vsock device.
    pub(super) device: Option<String>,
}

pub(super) fn run_config(
    programs: &Programs,
    shape: &Shape,
    guest: &Guest,
    acceleration: Acceleration,
    transport: Transport,
) -> RunConfig {
    let device = programs.device.as_ref().map(|path| ChildCommand {
        path: path.clone(),
        arguments: vec![
            "--vm".to_owned(),
            format!("guest-cid=3,socket={DEVICE_SOCKET},uds-path={SOCKET}"),
        ],
    });
    let qemu = ChildCommand {
        path: programs.qemu.clone(),
        arguments: arguments(shape, guest, acceleration, transport),
    };
    RunConfig { device, qemu }
}

fn arguments(
    shape: &Shape,
    guest: &Guest,
    acceleration: Acceleration,
    transport: Transport,
) -> Vec<String> {
    let memory = format!("{}M", shape.memory >> 20);
    let (machine, console) = match guest.architecture {
        Architecture::X86_64 => ("q35", "ttyS0"),
        // The newest interrupt controller supports the most processors.
        Architecture::Aarch64 => ("virt,gic-version=max", "ttyAMA0"),
    };
    let accelerator = match acceleration {
        Acceleration::Kvm => "kvm",
        Acceleration::Emulation => "tcg,thread=multi",
    };
    let (processor, clock) = match (acceleration, guest.architecture) {
        (Acceleration::Kvm, _) => ("host", ""),
        // Programs copy with `rep movsb` if the processor reports that it is
        // fast. QEMU emulates it byte by byte, and without it transfers take
        // half the time. Linux distrusts the time stamp counter of emulated
        // processors and would use a slow device instead; the counter is
        // reliable. Late timer interrupts make Linux believe that the timer is
        // broken; it is not.
        (Acceleration::Emulation, Architecture::X86_64) => {
            ("max,-erms,-fsrm", " tsc=reliable no_timer_check")
        }
        // The usual cipher for signing pointers takes half of the time.
        (Acceleration::Emulation, Architecture::Aarch64) => ("max,pauth-impdef=on", ""),
    };
    let mut line = Line::default();
    line.word("-nodefaults")
        .word("-no-user-config")
        .word("-no-reboot");
    line.option("-name", "locald")
        .option("-display", "none")
        .option("-machine", &format!("{machine},memory-backend=memory"))
        .option("-accel", accelerator)
        .option("-cpu", processor)
        .option("-smp", &shape.cpus.to_string())
        .option("-m", &memory)
        // The vsock device reads the guest's memory, so QEMU shares it.
        .option(
            "-object",
            &format!("memory-backend-memfd,id=memory,size={memory},share=on"),
        )
        .option("-kernel", &guest.kernel.display().to_string())
        .option("-initrd", &guest.initramfs.display().to_string())
        .option(
            "-append",
            &format!("console={console} quiet panic=-1{clock}"),
        )
        .option("-serial", "file:serial.log");
    devices(&mut line, transport);
    settings(&mut line, shape);
    line.0
}

/// Adds disk, network, memory balloon and vsock.
fn devices(line: &mut Line, transport: Transport) {
    line.option(
        "-drive",
        "file=../data.qcow2,format=qcow2,if=none,id=data,discard=unmap,detect-zeroes=unmap",
    )
    .option("-device", "virtio-blk-pci,drive=data")
    .option("-netdev", "user,id=net")
    .option("-device", "virtio-net-pci,netdev=net,romfile=")
    // The guest gives unused memory back to the host.
    .option("-device", "virtio-balloon-pci,free-page-reporting=on");
    match transport {
        Transport::Hybrid => line
            .option("-chardev", &format!("socket,id=vsock,path={DEVICE_SOCKET}"))
            .option("-device", "vhost-user-vsock-pci,chardev=vsock"),
        Transport::Kernel(cid) => {
            line.option("-device", &format!("vhost-vsock-pci,guest-cid={cid}"))
        }
    };
}

/// Adds the files and values that the agent reads from QEMU's firmware
/// configuration.
fn settings(line: &mut Line, shape: &Shape) {
    line.option("-fw_cfg", "name=opt/locald/token,file=../token");
    line.option(
        "-fw_cfg",
        &format!("name=opt/locald/certificates,file={CERTIFICATES}"),
    );
    if let Some(idle) = shape.idle {
        let idle = idle.as_secs();
        line.option("-fw_cfg", &format!("name=opt/locald/idle,string={idle}"));
    }
}

#[derive(Debug, Default)]
struct Line(Vec<String>);

impl Line {
    fn word(&mut self, word: &str) -> &mut Self {
        self.0.push(word.to_owned());
        self
    }

    fn option(&mut self, name: &str, value: &str) -> &mut Self {
        self.word(name).word(value)
    }
}
