//! Writes QEMU's command line. QEMU works in the folder of the run, and paths
//! are relative to it, so no path is too long for a socket or contains a comma
//! of the user's.

use protocol::build_id::Architecture;

use super::dial::SOCKET;
use super::folder::Transport;
use super::guest::Guest;
use super::supervisor::{ChildCommand, DEVICE_SOCKET, RunConfig};
use crate::settings::Shape;

/// The file of certificates that the guest is to trust.
pub(super) const CERTIFICATES: &str = "certificates.pem";

/// Who runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acceleration {
    /// The processor.
    Kvm,
    /// QEMU itself: slower, and works everywhere.
    Emulation,
}

impl Acceleration {
    /// For people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Emulation => "emulation",
        }
    }
}

/// The programs of a run.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) qemu: String,
    /// Where the kernel has no vsock device of its own.
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
        // As many processors as are wanted, by the newest interrupt controller.
        Architecture::Aarch64 => ("virt,gic-version=max", "ttyAMA0"),
    };
    let accelerator = match acceleration {
        Acceleration::Kvm => "kvm",
        Acceleration::Emulation => "tcg,thread=multi",
    };
    let (processor, clock) = match (acceleration, guest.architecture) {
        (Acceleration::Kvm, _) => ("host", ""),
        // Programs copy by `rep movsb` where it is said to be fast. Emulated, it
        // copies byte by byte: without, transfers take half the time. The time
        // stamp counters of emulated processors agree, which Linux does not
        // believe: it would ask a device for the time, which is slow. Nor is a
        // timer broken whose interrupts come late.
        (Acceleration::Emulation, Architecture::X86_64) => {
            ("max,-erms,-fsrm", " tsc=reliable no_timer_check")
        }
        // Pointers are signed at each call: by the usual cipher, that takes half
        // of the time.
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
        // The vsock device reads the guest's memory.
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

/// Disk, network, memory balloon and vsock.
fn devices(line: &mut Line, transport: Transport) {
    line.option(
        "-drive",
        "file=../data.qcow2,format=qcow2,if=none,id=data,discard=unmap,detect-zeroes=unmap",
    )
    .option("-device", "virtio-blk-pci,drive=data")
    .option("-netdev", "user,id=net")
    .option("-device", "virtio-net-pci,netdev=net,romfile=")
    // Memory that the guest does not need any more is the host's again.
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

/// The files and values that the agent reads from QEMU's firmware
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
